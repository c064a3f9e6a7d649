// SPDX-License-Identifier: Apache-2.0
// Wires and processes, with shell scripts for boards.
#include "board/virtual_cluster.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cluster/work_meter.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kPatienceUs = 20'000'000;

class ScriptBoards : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote-virtual-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/cluster_node.elf") << "none";
    std::ofstream(folder_ + "/image") << "none";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// The script has the descriptors $1 (console), $2 and $3 (links), and $4, the seed.
  BoardEntry board(const std::string& name, const std::string& script) const {
    BoardEntry entry;
    entry.name = name;
    entry.folder = folder_;
    entry.emulator = {"bash", "-c", script, name};
    entry.console = {"{fd}"};
    entry.links = {{"{fd}"}, {"{fd}", "{seed}"}};
    entry.programs = {"cluster_node"};
    return entry;
  }
  VirtualClusterConfig config(const std::vector<const BoardEntry*>& boards) const {
    VirtualClusterConfig config;
    config.boards = boards;
    config.images.assign(boards.size(), folder_ + "/image");
    config.program = "cluster_node";
    return config;
  }
  /// The next object of a chip's console.
  static std::string next_line(VirtualCluster& cluster, std::size_t chip) {
    const std::uint64_t end_us = clock_us() + kPatienceUs;
    while (clock_us() < end_us) {
      if (const auto said = cluster.console(chip).next()) return said->dump();
      cluster.pump(10'000);
    }
    return "nothing";
  }

  std::string folder_;
};

TEST_F(ScriptBoards, a_ring_leads_from_each_chip_to_the_next) {
  const BoardEntry entry = board("any", "exit 0");
  const VirtualCluster cluster(config({&entry, &entry, &entry}));
  ASSERT_EQ(cluster.wires().size(), 3U);
  for (std::size_t chip = 0; chip < 3; ++chip) {
    const WirePair& wire = cluster.wires()[chip];
    EXPECT_EQ(wire.a.seat, chip);
    EXPECT_EQ(wire.a.port, 0U);
    EXPECT_EQ(wire.b.seat, (chip + 1) % 3);
    EXPECT_EQ(wire.b.port, 1U);
  }
}

TEST_F(ScriptBoards, bytes_pass_from_link_to_link) {
  const BoardEntry speaker = board("speaker", "echo hello >&$2; read line <&$1");
  const BoardEntry hearer = board(
      "hearer", "read line <&$3; echo \"{\\\"heard\\\":\\\"$line\\\"}\" >&$1; read line <&$1");
  VirtualCluster cluster(config({&speaker, &hearer}));
  cluster.start(0);
  cluster.start(1);
  EXPECT_EQ(next_line(cluster, 1), R"({"heard":"hello"})");
  EXPECT_EQ(cluster.wires()[0].from_a.counters().bytes, 6U);
}

TEST_F(ScriptBoards, a_chip_is_killed_and_starts_anew_with_another_seed) {
  const BoardEntry entry = board("seed", "echo \"{\\\"seed\\\":$4}\" >&$1; read line <&$1");
  VirtualCluster cluster(config({&entry, &entry}));
  cluster.start(0);
  cluster.start(1);
  const std::string first = next_line(cluster, 1);
  const std::string other = next_line(cluster, 0);
  cluster.kill(1);
  cluster.pump(1000);
  cluster.start(1);
  const std::string second = next_line(cluster, 1);
  EXPECT_TRUE(second.starts_with("{\"seed\":")) << second;
  EXPECT_NE(first, second);
  EXPECT_NE(first, other);
}

TEST_F(ScriptBoards, what_is_sent_to_a_dead_chip_is_lost) {
  const BoardEntry speaker =
      board("speaker", "echo hello >&$2; echo '{\"sent\":1}' >&$1; read line <&$1");
  VirtualCluster cluster(config({&speaker, &speaker}));
  cluster.start(0);
  EXPECT_EQ(next_line(cluster, 0), R"({"sent":1})");
  cluster.pump(1000);
  EXPECT_EQ(cluster.wires()[0].from_a.counters().lost_bytes, 6U);
}

TEST_F(ScriptBoards, an_end_is_told_with_the_chip) {
  const BoardEntry entry = board("ending", "exit 5");
  VirtualCluster cluster(config({&entry, &entry}));
  cluster.start(1);
  try {
    next_line(cluster, 1);
    FAIL() << "it did not end";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "chip 1 (ending): the emulator ended with status 5");
  }
}

TEST_F(ScriptBoards, boards_in_lock_step_stay_among_themselves) {
  BoardEntry steps = board("steps", "exit 0");
  steps.lockstep = {"node"};
  const BoardEntry other = board("other", "exit 0");
  const auto complaint = [](const VirtualClusterConfig& wanted) {
    try {
      const VirtualCluster cluster(wanted);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(complaint(config({&steps, &other})).find("does not mix with other boards"),
            std::string::npos);
  VirtualClusterConfig star = config({&steps, &steps});
  star.topology = Topology::star;
  EXPECT_NE(complaint(star).find("are wired as a ring"), std::string::npos);
  EXPECT_EQ(complaint(config({&steps, &steps})), "");
}

}  // namespace
}  // namespace mote::host
