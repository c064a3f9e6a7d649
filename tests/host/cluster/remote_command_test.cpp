// SPDX-License-Identifier: Apache-2.0
// `mote run` over chips writes what it writes alone.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "support/command_line.hpp"
#include "support/node_process.hpp"

namespace mote {
namespace {

using test::mote;
using test::NodeProcess;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

class RemoteCommand : public test::CommandLine {
 protected:
  /// What `mote run` does with a model and further arguments.
  static ProgramResult run(const std::string& model, const Arguments& more = {}) {
    Arguments arguments = {"run", "-m", model, "-p", "hello abc", "-n", "9", "--seed", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mote(arguments);
  }
  void expect_same(const ProgramResult& result, const std::string& expected) {
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.output, expected);
  }
  /// The paths of the shards of a model over `chips`.
  std::vector<std::string> cut(const std::string& model, std::uint32_t chips) const {
    const ProgramResult result =
        mote({"shard", "-m", model, "--chips", std::to_string(chips), "-o", path("shards"), "-q"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    std::vector<std::string> paths;
    for (std::uint32_t rank = 0; rank < chips; ++rank) {
      paths.push_back(
          path("shards/model." + std::to_string(rank) + "of" + std::to_string(chips) + ".mote"));
    }
    return paths;
  }
};

TEST_F(RemoteCommand, chips_in_one_program) {
  const std::string model = image();
  const std::string expected = run(model).output;
  for (const char* topology : {"ring", "star", "broadcast"}) {
    expect_same(run(model, {"--chips", "3", "--topology", topology}), expected);
  }
  expect_same(run(model, {"--chips", "2", "--policy", "round-robin"}), expected);
  expect_same(run(model, {"--chips", "2", "--weights-of-chips", "3,1"}), expected);
  expect_same(run(model, {"--chips", "1"}), expected);
}

TEST_F(RemoteCommand, nodes) {
  const std::string model = image();
  const std::string expected = run(model).output;
  const NodeProcess first(MOTE_PROGRAM, model);
  const NodeProcess second(MOTE_PROGRAM, model);
  const std::string stats = path("stats.json");
  const ProgramResult result =
      run(model, {"--nodes", first.address() + "," + second.address(), "--stats-json", stats});
  expect_same(result, expected);
  EXPECT_CONTAINS(result.errors, "driver: ");
  EXPECT_CONTAINS(result.errors, "bytes sent and ");
  const auto json = nlohmann::json::parse(std::ifstream(stats));
  EXPECT_EQ(json.at("chips"), 2);
  EXPECT_EQ(json.at("sessions"), 1);
  EXPECT_GT(json.at("sent_bytes_per_token"), 0);
  const double shares = json.at("compute_percent").get<double>() +
                        json.at("wire_percent").get<double>() +
                        json.at("waiting_percent").get<double>();
  EXPECT_NEAR(shares, 100, 0.01);
  expect_same(run(model, {"--nodes", second.address(), "--weight", "1"}), expected);
}

TEST_F(RemoteCommand, nodes_with_shards) {
  const std::string model = image();
  const std::string expected = run(model).output;
  const auto shards = cut(model, 2);
  const NodeProcess first(MOTE_PROGRAM, shards[0]);
  const NodeProcess second(MOTE_PROGRAM, shards[1]);
  expect_same(run(model, {"--nodes", first.address() + "," + second.address()}), expected);
  // The shard of rank 0 has the tokenizer, so its chip can drive.
  expect_same(run(shards[0], {"--nodes", second.address()}), expected);
}

TEST_F(RemoteCommand, a_shard_alone_is_refused) {
  const auto shards = cut(image(), 2);
  for (const Arguments& more : {Arguments{}, {"--chips", "2"}}) {
    const ProgramResult result = run(shards[1], more);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(result.errors, "mote: " + shards[1] +
                                 ": holds the part of rank 1 of 2 chips; the other chips are "
                                 "named by --nodes\n");
  }
  const ProgramResult result = run(shards[1], {"--nodes", "tcp://127.0.0.1:1"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_CONTAINS(result.errors, "has no tokenizer; that of rank 0 has\n");
}

TEST_F(RemoteCommand, errors_name_what_they_are_about) {
  const std::string model = image();
  const auto complaint = [&](const Arguments& more) {
    const ProgramResult result = run(model, more);
    EXPECT_GT(result.exit_code, 0);
    EXPECT_EQ(result.output, "");
    return result.errors;
  };
  EXPECT_CONTAINS(complaint({"--nodes", "127.0.0.1:4000"}), "an address is tcp://HOST:PORT");
  EXPECT_CONTAINS(complaint({"--nodes", "tcp://127.0.0.1:1", "--wait", "100ms"}),
                  "mote: chip 1 (tcp://127.0.0.1:1): Connection refused\n");
  EXPECT_CONTAINS(complaint({"--chips", "2", "--weights-of-chips", "1,2,3"}),
                  "--weights-of-chips: 3 weights for 2 chips");
  EXPECT_CONTAINS(complaint({"--chips", "2", "--weights-of-chips", "0,0"}), "all are 0");
  EXPECT_CONTAINS(complaint({"--chips", "2", "-c", "1000"}), "a context of 1000 positions");
  EXPECT_CONTAINS(complaint({"--chips", "65"}), "--chips");
  EXPECT_CONTAINS(complaint({"--chips", "2", "--nodes", "tcp://h:1"}), "excludes");
  EXPECT_CONTAINS(complaint({"--topology", "ring"}), "requires");
  EXPECT_CONTAINS(complaint({"--nodes", "tcp://h:1", "--timeout", "10ms"}), "--timeout");
}

}  // namespace
}  // namespace mote
