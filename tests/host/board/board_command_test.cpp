// SPDX-License-Identifier: Apache-2.0
// `mote board` over the programs of the boards as processes of this computer.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/program.hpp"

namespace mote {
namespace {

using Json = nlohmann::json;
using Arguments = std::vector<std::string>;
using test::ProgramResult;

constexpr const char* kModel = MOTE_SOURCE_DIR "/models/stories-260k.mote";

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

/// A folder of firmware: the boards of the repository's list, of which the host's own are there,
/// and boards that fail as their names say.
class BoardCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote-board-" + std::to_string(::getpid());
    Json boards = Json::parse(std::ifstream(MOTE_SOURCE_DIR "/ports/boards.json"));
    boards["other"] = boards.at("posix");
    boards["poor"] = boards.at("posix");
    boards["poor"]["links"] = Json::array({boards.at("posix").at("links").at(0)});
    boards["small"] = boards.at("posix");
    boards["small"]["image_bytes"] = 1000;
    boards["without_emulator"] = boards.at("posix");
    boards["without_emulator"]["emulator"] = {"mote-no-such-emulator"};
    boards["without_emulator"]["install"] = "apt-get install it";
    add_script(boards, "dying", "echo no such machine >&2; exit 3");
    add_script(boards, "silent", "echo hello >&{fd}; exec sleep 100");
    boards["silent"]["start_s"] = 0.3;
    // Says that it is a board, and then always the same.
    add_script(boards, "parrot",
               R"(while read line <&{fd}; do case "$line" in
                  *info*) echo '{"board":"parrot","done":true,"image_bytes":305808}' >&{fd};;
                  *run*) echo '{"token":7,"text":"!"}' >&{fd}
                         echo '{"done":true,"tokens":1}' >&{fd};;
                  esac; done)");
    for (const char* name : {"posix", "other", "poor", "small", "without_emulator"}) {
      link_programs(name);
    }
    std::ofstream(folder_ + "/boards.json") << boards;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void add_script(Json& boards, const std::string& name, const std::string& script) const {
    boards[name] = {{"emulator", {"sh", "-c"}}, {"console", {script}}, {"programs", {"one_chip"}}};
    std::filesystem::create_directories(folder_ + "/" + name);
    std::ofstream(folder_ + "/" + name + "/one_chip.elf") << "none";
  }
  void link_programs(const std::string& name) const {
    const std::filesystem::path programs = MOTE_POSIX_PORT;
    std::filesystem::create_directories(folder_);
    std::filesystem::create_directory_symlink(programs, folder_ + "/" + name);
  }

  ProgramResult board(const Arguments& more) const {
    Arguments arguments = {"board"};
    const auto add_missing = [&](const char* option, const std::string& value) {
      if (std::ranges::find(more, option) == more.end()) {
        arguments.insert(arguments.end(), {option, value});
      }
    };
    add_missing("--firmware-dir", folder_);
    add_missing("-m", kModel);
    add_missing("-p", "Once upon");
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::run_program(MOTE_PROGRAM, arguments);
  }
  /// What `mote board --check --json` prints of an answer that must be right.
  Json checked(Arguments more) const {
    more.insert(more.end(), {"--check", "--json"});
    const ProgramResult result = board(more);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    const Json json = Json::parse(result.output, nullptr, false);
    EXPECT_TRUE(json.is_object()) << result.output;
    if (!json.is_object()) return Json::object();
    EXPECT_EQ(json.at("differences"), Json::array());
    return json;
  }
  std::string complaint(const Arguments& more) const {
    const ProgramResult result = board(more);
    EXPECT_GT(result.exit_code, 0) << result.output;
    return result.errors;
  }

  std::string folder_;
};

std::uint64_t link_sum(const Json& chip, const char* key) {
  std::uint64_t sum = 0;
  for (const Json& link : chip.at("links").at("links")) sum += link.at(key).get<std::uint64_t>();
  return sum;
}

TEST_F(BoardCommand, one_chip) {
  const Json json = checked({"--board", "posix", "-n", "24"});
  EXPECT_EQ(json.at("program"), "one_chip");
  EXPECT_EQ(json.at("tokens").size(), 24U);
  EXPECT_EQ(json.at("chips").size(), 1U);
  EXPECT_EQ(json.at("wires"), Json::array());
  EXPECT_GT(json.at("done").at("work"), 0);
  EXPECT_GT(json.at("chips").at(0).at("info").at("stack_bytes"), 0);
}

TEST_F(BoardCommand, prints_the_answer_and_a_table) {
  const ProgramResult host = test::run_program(
      MOTE_PROGRAM, {"run", "-m", kModel, "-p", "Once upon", "-n", "12", "--temp", "0"});
  const ProgramResult result =
      board({"--board", "posix", "--chips", "3", "-n", "12", "--check", "--baud", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.output.starts_with(host.output)) << result.output;
  EXPECT_CONTAINS(result.output, "\n   2  posix ");
  EXPECT_CONTAINS(result.output, "\n  2.0 - 0.1 ");
  EXPECT_CONTAINS(result.output, "checked: tokens are those of this computer");
}

TEST_F(BoardCommand, rings_stars_and_mixed_boards) {
  const Json one = checked({"--board", "posix", "-n", "12"});
  const auto expect_same = [&](const Arguments& more) {
    Arguments arguments = {"-n", "12", "--baud", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Json json = checked(arguments);
    EXPECT_EQ(json.at("tokens"), one.at("tokens"));
    EXPECT_EQ(json.at("text"), one.at("text"));
    return json;
  };
  expect_same({"--board", "posix", "--chips", "2"});
  expect_same({"--board", "posix", "--chips", "4", "--topology", "star"});
  expect_same({"--board", "posix", "--chips", "1", "--program", "cluster_node"});
  const Json mixed = expect_same({"--board", "posix,other", "--chips", "5"});
  EXPECT_EQ(mixed.at("chips").at(3).at("board"), "other");
  EXPECT_EQ(mixed.at("chips").at(4).at("board"), "posix");
}

TEST_F(BoardCommand, draws_as_the_host_does) {
  const Json json =
      checked({"--board", "posix", "--chips", "3",   "--temp",  "0.9",  "--seed",           "11",
               "--top-k", "20",    "--top-p", "0.9", "--min-p", "0.02", "--repeat-penalty", "1.1",
               "-n",      "16",    "-c",      "96",  "-b",      "3"});
  EXPECT_EQ(json.at("done").at("context"), 96);
  const std::string text = "a \\ \"quoted\" -- n=3\n\tline \xc3\xa9";
  EXPECT_EQ(checked({"--board", "posix", "-p", text, "-n", "5"}).at("prompt"), text);
}

/// plan_equals_linker: what `mote plan` says of each chip is what the chip says of itself.
TEST_F(BoardCommand, plan_equals_what_the_chips_say) {
  const Json json =
      checked({"--board", "posix", "--chips", "4", "-n", "6", "-c", "128", "-b", "4"});
  const ProgramResult planned = test::run_program(
      MOTE_PROGRAM,
      {"plan", "-m", kModel, "--chips", "4", "-c", "128", "-b", "4", "--link", "uart", "--json"});
  const Json plan = Json::parse(planned.output);
  for (std::size_t i = 0; i < 4; ++i) {
    const Json& memory = plan.at("chips").at(i).at("memory");
    const Json& chip = json.at("chips").at(i);
    EXPECT_EQ(chip.at("weight_bytes"), memory.at("weight_bytes"));
    EXPECT_EQ(chip.at("info").at("arena_bytes"), memory.at("arena_bytes"));
    EXPECT_EQ(chip.at("info").at("image_bytes"), chip.at("image_bytes"));
    EXPECT_EQ(chip.at("info").at("image"), chip.at("image_hash"));
    EXPECT_EQ(chip.at("info").at("seat"), i);
  }
}

TEST_F(BoardCommand, a_chip_is_killed_and_started_again) {
  for (const char* topology : {"ring", "star"}) {
    const Json json = checked({"--board", "posix", "--chips", "4", "--topology", topology, "-n",
                               "48", "--kill", "2@10,1@30"});
    EXPECT_EQ(json.at("tokens").size(), 48U);
    EXPECT_GE(json.at("done").at("sessions"), 2);
    EXPECT_EQ(json.at("chips").at(0).at("starts"), 1);
    EXPECT_EQ(json.at("chips").at(1).at("starts"), 2);
    EXPECT_EQ(json.at("chips").at(2).at("starts"), 2);
  }
}

TEST_F(BoardCommand, bits_are_damaged_on_every_link) {
  const Json json =
      checked({"--board", "posix", "--chips", "4", "-n", "6", "--bit-errors", "1e-4"});
  std::uint64_t damaged = 0;
  std::uint64_t repeated = 0;
  std::uint64_t flipped = 0;
  for (const Json& chip : json.at("chips")) {
    damaged += link_sum(chip, "damaged");
    repeated += link_sum(chip, "repeated");
  }
  for (const Json& wire : json.at("wires")) {
    flipped += wire.at("a_to_b").at("flipped_bits").get<std::uint64_t>() +
               wire.at("b_to_a").at("flipped_bits").get<std::uint64_t>();
  }
  EXPECT_GT(flipped, 0U);
  EXPECT_GT(damaged, 0U);
  EXPECT_LE(damaged, 2 * flipped);  // a flipped bit may cut a frame in two
  EXPECT_GT(repeated, 0U);
}

TEST_F(BoardCommand, bytes_on_the_wires_are_those_of_the_chips) {
  const Json json = checked({"--board", "posix", "--chips", "2", "-n", "8", "--baud", "0"});
  const Json& wire = json.at("wires").at(0);
  // Hellos go on while the chips are asked one after another.
  const auto sent = json.at("chips").at(0).at("links").at("links").at(0).at("bytes_out");
  EXPECT_NEAR(wire.at("a_to_b").at("bytes").get<double>(), sent.get<double>(), 300);
}

TEST_F(BoardCommand, a_person_types_at_a_console) {
  const std::string command = std::string("printf 'info\\nrun n=5 -- Once\\n' | ") + MOTE_PROGRAM +
                              " board --firmware-dir " + folder_ + " -m " + kModel +
                              " --board posix --chips 2 --console ";
  const ProgramResult first = test::run_program("/bin/sh", {"-c", command + "0"});
  EXPECT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_CONTAINS(first.output, "> info");
  EXPECT_CONTAINS(first.output, "> run n=5 -- Once");
  EXPECT_CONTAINS(first.output, "tokens ");
  const ProgramResult second = test::run_program("/bin/sh", {"-c", command + "1"});
  EXPECT_EQ(second.exit_code, 0) << second.errors;
  EXPECT_CONTAINS(second.output, "> info");
  EXPECT_CONTAINS(second.output, "this chip only computes");
}

TEST_F(BoardCommand, names_its_boards) {
  const ProgramResult result = board({"--list"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_CONTAINS(result.output, "mps2_an386 ");
  EXPECT_CONTAINS(result.output, "\nposix ");
}

TEST_F(BoardCommand, a_wrong_answer_fails_the_check) {
  EXPECT_EQ(board({"--board", "parrot", "-n", "3"}).exit_code, 0);
  const ProgramResult result = board({"--board", "parrot", "-n", "3", "--check"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_CONTAINS(result.output, "differs: token 1: the boards drew 7, this computer draws ");
  EXPECT_CONTAINS(result.output, "differs: chip 0 (parrot): does not say its arena_bytes");
  EXPECT_CONTAINS(result.errors, "mote: the boards differ: token 1: ");
}

TEST_F(BoardCommand, boards_that_do_not_start) {
  EXPECT_EQ(complaint({"--board", "without_emulator"}),
            "mote: chip 0 (without_emulator): there is no program mote-no-such-emulator; to "
            "install it: apt-get install it\n");
  EXPECT_EQ(complaint({"--board", "dying"}),
            "mote: chip 0 (dying): the emulator ended with status 3; it said: no such machine\n");
  EXPECT_EQ(complaint({"--board", "silent"}),
            "mote: chip 0 (silent): has not answered for 0.3 s; it said: hello\n");
  EXPECT_CONTAINS(complaint({"--board", "riscv32_virt"}),
                  "one_chip.elf: is not there; build it with scripts/build_ports.sh riscv32_virt");
  EXPECT_CONTAINS(complaint({"--board", "no_such"}), "--board no_such: is none of those in ");
}

TEST_F(BoardCommand, boards_that_do_not_fit) {
  EXPECT_EQ(complaint({"--board", "poor", "--chips", "3"}),
            "mote: chip 0 (poor): has 1 links and needs 2 for its place in the ring\n");
  EXPECT_EQ(complaint({"--board", "posix", "--chips", "6", "--topology", "star"}),
            "mote: chip 0 (posix): has 4 links and needs 5 for its place in the star\n");
  EXPECT_EQ(complaint({"--board", "small"}),
            "mote: chip 0 (small): its image has 305808 bytes, the board has room for 1000\n");
  EXPECT_CONTAINS(complaint({"--board", "dying", "--chips", "2"}),
                  "--board dying: has no program cluster_node, only one_chip");
  // A leaf needs one link only.
  checked({"--board", "posix,poor", "--chips", "2", "--topology", "star", "-n", "2"});
}

TEST_F(BoardCommand, errors_name_what_they_are_about) {
  EXPECT_CONTAINS(complaint({}), "needs --board and --model");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--chips", "2", "--kill", "0@5"}),
                  "--kill 0@5: chip 0 gives the answer");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--chips", "2", "--kill", "2@5"}),
                  "--kill 2@5: the chips are 0 to 1");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--chips", "2", "--kill", "1"}),
                  "--kill 1: expected CHIP@TOKEN, such as 2@10");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--topology", "broadcast"}), "ring or star");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--chips", "2", "--program", "one_chip"}),
                  "is for one chip, not for 2");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--console", "1"}), "the chips are 0 to 0");
  EXPECT_CONTAINS(complaint({"--board", "posix", "-p", std::string(2000, 'x')}),
                  "too long for the boards' consoles");
  EXPECT_CONTAINS(complaint({"--board", "posix", "-c", "100000"}), "chip 0 (posix): ");
  EXPECT_CONTAINS(complaint({"--board", "posix", "--firmware-dir", folder_ + "/none"}),
                  "boards.json: cannot read; scripts/build_ports.sh makes it");
}

TEST_F(BoardCommand, a_shard_cannot_be_cut_again) {
  const std::string shards = folder_ + "/shards";
  ASSERT_EQ(
      test::run_program(MOTE_PROGRAM, {"shard", "-m", kModel, "--chips", "2", "-o", shards, "-q"})
          .exit_code,
      0);
  EXPECT_CONTAINS(complaint({"--board", "posix", "-m", shards + "/stories-260k.1of2.mote"}),
                  "holds the part of rank 1 of 2 chips; the whole model is needed");
}

}  // namespace
}  // namespace mote
