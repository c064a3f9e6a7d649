// SPDX-License-Identifier: Apache-2.0
// `mote shard` and what `mote inspect` says of a shard.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/command_line.hpp"

namespace mote {
namespace {

using nlohmann::json;
using test::mote;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

class ShardCommand : public test::CommandLine {
 protected:
  ProgramResult shard(const std::string& model, const Arguments& options) const {
    Arguments arguments = {"shard", "-m", model, "-o", path("shards")};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return mote(arguments);
  }
  std::string shard_path(int rank, int chips) const {
    return path("shards/model." + std::to_string(rank) + "of" + std::to_string(chips) + ".mote");
  }
};

std::string succeed(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(result.errors, "");
  return result.output;
}

/// The one line that the program says; it must fail and say nothing else.
std::string complaint(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
  EXPECT_TRUE(result.errors.starts_with("mote: ")) << result.errors;
  return result.errors;
}

/// A complaint about the command line itself, which points to the help.
std::string usage(const ProgramResult& result) {
  EXPECT_GT(result.exit_code, 0);
  EXPECT_EQ(result.output, "");
  EXPECT_TRUE(result.errors.ends_with("Run with --help for more information.\n")) << result.errors;
  return result.errors;
}

TEST_F(ShardCommand, writes_an_image_for_each_chip) {
  const std::string table = succeed(shard(image(), {"--chips", "3"}));
  EXPECT_EQ(std::ranges::count(table, '\n'), 5) << table;
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_CONTAINS(table, shard_path(rank, 3));
    const test::SpecImage shard = test::parse_image(test::read_file(shard_path(rank, 3)));
    EXPECT_EQ(shard.find(8).bytes[0], rank);
    EXPECT_EQ(shard.find(8).bytes[1], 3);
    const bool has_tokenizer =
        std::ranges::count(shard.sections, 3U, &test::SpecSection::kind) != 0;
    EXPECT_EQ(has_tokenizer, rank == 0);
  }
  const auto files = std::filesystem::directory_iterator(path("shards"));
  EXPECT_EQ(std::distance(begin(files), end(files)), 3);
}

TEST_F(ShardCommand, reports_in_json) {
  const std::string model = image();
  const json report = json::parse(succeed(shard(
      model, {"--chips", "2", "--policy", "round-robin", "--weights-of-chips", "2,1", "--json"})));
  EXPECT_EQ(report["model"], model);
  EXPECT_EQ(report["policy"], "round-robin");
  EXPECT_EQ(report["weights"], json({2, 1}));
  EXPECT_EQ(report["model_bytes"], test::read_file(model).size());
  for (int rank = 0; rank < 2; ++rank) {
    const test::Bytes bytes = test::read_file(shard_path(rank, 2));
    const json& line = report["shards"][static_cast<std::size_t>(rank)];
    EXPECT_EQ(line["file"], shard_path(rank, 2));
    EXPECT_EQ(line["bytes"], bytes.size());
    EXPECT_EQ(test::parse_image(bytes).find(8).bytes[2], 1);
  }
}

TEST_F(ShardCommand, is_silent_where_it_is_told_to_be) {
  EXPECT_EQ(succeed(shard(image(), {"--chips", "2", "-q"})), "");
}

TEST_F(ShardCommand, replaces_older_shards) {
  const std::string model = image();
  succeed(shard(model, {"--chips", "2", "-q"}));
  const test::Bytes first = test::read_file(shard_path(1, 2));
  test::write_file(shard_path(1, 2), {1, 2, 3});
  succeed(shard(model, {"--chips", "2", "-q"}));
  EXPECT_EQ(test::read_file(shard_path(1, 2)), first);
}

TEST_F(ShardCommand, cuts_over_64_chips_and_over_those_that_only_relay) {
  const std::string model = image();
  succeed(shard(model, {"--chips", "64", "-q"}));
  succeed(shard(model, {"--chips", "3", "--weights-of-chips", "0,255,0", "-q"}));
  for (const std::string& path : {shard_path(63, 64), shard_path(0, 3), shard_path(2, 3)}) {
    EXPECT_CONTAINS(succeed(mote({"inspect", path})), "none of ");
  }
}

TEST_F(ShardCommand, inspect_says_whose_part_it_is) {
  const std::string model = image();
  succeed(shard(model, {"--chips", "2", "-q"}));
  const json whole = json::parse(succeed(mote({"inspect", model, "--json"})));
  EXPECT_FALSE(whole.contains("shard"));
  for (int rank = 0; rank < 2; ++rank) {
    const std::string part = shard_path(rank, 2);
    const json report = json::parse(succeed(mote({"inspect", part, "--json"})));
    EXPECT_EQ(report["shard"]["rank"], rank);
    EXPECT_EQ(report["shard"]["model_hash"], whole["content_hash"]);
    EXPECT_NE(report["content_hash"], whole["content_hash"]);
    EXPECT_LE(report["arena"][0]["arena_bytes"], whole["arena"][0]["arena_bytes"]);
    const std::string text = succeed(mote({"inspect", part}));
    EXPECT_CONTAINS(text, "rank " + std::to_string(rank) + " of 2 chips");
    EXPECT_CONTAINS(text, whole["content_hash"].get<std::string>());
    EXPECT_CONTAINS(text, report["content_hash"].get<std::string>());
  }
}

TEST_F(ShardCommand, a_shard_is_no_model) {
  succeed(shard(image(), {"--chips", "2", "-q"}));
  for (int rank = 0; rank < 2; ++rank) {
    const std::string part = shard_path(rank, 2);
    const std::string said = "rank " + std::to_string(rank) + " of 2 chips";
    EXPECT_CONTAINS(complaint(shard(part, {"--chips", "2"})), part + ": holds the part of " + said);
    EXPECT_CONTAINS(complaint(mote({"run", "-m", part, "-p", "a", "-n", "1"})), said);
    EXPECT_CONTAINS(complaint(mote({"perplexity", "-m", part, "-f", path("text.txt")})), said);
  }
}

TEST_F(ShardCommand, a_damaged_shard_is_refused) {
  succeed(shard(image(), {"--chips", "2", "-q"}));
  test::Bytes bytes = test::read_file(shard_path(1, 2));
  bytes.back() ^= 1;
  test::write_file(shard_path(1, 2), bytes);
  EXPECT_CONTAINS(complaint(mote({"inspect", shard_path(1, 2)})), shard_path(1, 2) + ": ");
}

TEST_F(ShardCommand, a_cut_that_cannot_be_made) {
  const std::string model = image();
  const auto refused = [&](const Arguments& options) {
    std::string line = complaint(shard(model, options));
    EXPECT_FALSE(std::filesystem::exists(path("shards")));
    return line;
  };
  EXPECT_CONTAINS(refused({"--chips", "3", "--weights-of-chips", "1,2"}),
                  "--weights-of-chips: 2 weights for 3 chips");
  EXPECT_CONTAINS(refused({"--chips", "2", "--weights-of-chips", "0,0"}), "all are 0");
  EXPECT_CONTAINS(complaint(shard(path("nothing.mote"), {"--chips", "2"})),
                  path("nothing.mote") + ": cannot open");
  EXPECT_CONTAINS(complaint(shard(path("text.txt"), {"--chips", "2"})), path("text.txt"));
  EXPECT_CONTAINS(complaint(mote({"shard", "-m", model, "--chips", "2", "-o", path("text.txt")})),
                  path("text.txt") + ": cannot create");
}

TEST_F(ShardCommand, a_command_line_that_is_not_understood) {
  for (const char* chips : {"0", "65", "-1", "x", "2.5"}) {
    EXPECT_CONTAINS(usage(shard("x.mote", {"--chips", chips})), "--chips");
  }
  EXPECT_CONTAINS(usage(shard("x.mote", {})), "--chips");
  EXPECT_CONTAINS(usage(shard("x.mote", {"--chips", "2", "--policy", "any"})), "--policy");
  for (const char* weights : {"1,256", "1,-1", "1,x"}) {
    EXPECT_CONTAINS(usage(shard("x.mote", {"--chips", "2", "--weights-of-chips", weights})),
                    "--weights-of-chips");
  }
  EXPECT_CONTAINS(usage(mote({"shard", "-m", "x.mote", "--chips", "2"})), "--output");
}

}  // namespace
}  // namespace mote
