// SPDX-License-Identifier: Apache-2.0
// `mote pack` and `mote convert --lanes`.
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
using test::Bytes;
using test::mote;
using test::ProgramResult;
using test::read_file;
using Arguments = std::vector<std::string>;

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

class CliPack : public test::CommandLine {
 protected:
  std::string packed(const std::string& model, const Arguments& options = {}) const {
    const std::string out = path("packed.mote");
    Arguments arguments = {"pack", "-m", model, "-o", out, "-q"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const ProgramResult result = mote(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_EQ(result.output, "");
    return out;
  }
  /// Files in the folder.
  std::ptrdiff_t file_count() const {
    return std::distance(std::filesystem::directory_iterator(folder()), {});
  }
};

std::string succeed(const Arguments& arguments) {
  const ProgramResult result = mote(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return result.output;
}

/// The one line that the program says; it must fail and say nothing else.
std::string complaint(const Arguments& arguments) {
  const ProgramResult result = mote(arguments);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
  EXPECT_TRUE(result.errors.starts_with("mote: ")) << result.errors;
  return result.errors;
}

std::string answer(const std::string& model, const Arguments& options = {}) {
  Arguments arguments = {"run", "-m", model, "-p", "hello", "-n", "12", "--seed", "5"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  return succeed(arguments);
}

TEST_F(CliPack, there_and_back) {
  const std::string model = image();
  const std::string pairs = packed(model);
  EXPECT_NE(read_file(pairs), read_file(model));
  const Bytes first = read_file(pairs);
  EXPECT_EQ(read_file(packed(model, {"--lanes", "pairs"})), first);
  succeed({"pack", "-m", pairs, "-o", path("plain.mote"), "--lanes", "plain", "-q"});
  EXPECT_EQ(read_file(path("plain.mote")), read_file(model));
}

TEST_F(CliPack, the_answer_stays) {
  const std::string model = image();
  const std::string pairs = packed(model);
  const std::string expected = answer(model);
  EXPECT_EQ(answer(pairs), expected);
  EXPECT_EQ(answer(model, {"--chips", "2"}), expected);
  EXPECT_EQ(answer(pairs, {"--chips", "2"}), expected);
}

TEST_F(CliPack, says_what_it_did) {
  const std::string model = image();
  const std::string out = path("p.mote");
  const json report = json::parse(succeed({"pack", "-m", model, "-o", out, "--json"}));
  EXPECT_EQ(report["image"], out);
  EXPECT_EQ(report["image_bytes"], read_file(model).size());
  EXPECT_EQ(report["lanes"], "pairs");
  EXPECT_GT(report["int8_matrices"], 7);
  EXPECT_EQ(report["changed"], report["int8_matrices"]);
  const json inspected = json::parse(succeed({"inspect", out, "--json"}));
  EXPECT_EQ(inspected["content_hash"], report["content_hash"]);
  EXPECT_CONTAINS(succeed({"inspect", out}), "int8_pairs");
  const std::string text = succeed({"pack", "-m", out, "-o", path("q.mote")});
  EXPECT_CONTAINS(text, path("q.mote") + ": ");
  EXPECT_CONTAINS(text, " 0 of ");
}

TEST_F(CliPack, a_conversion_writes_the_same) {
  const Bytes pairs = read_file(packed(image()));
  const std::string out = path("c.mote");
  const std::string text =
      succeed({"convert", path("model.bin"), "--tokenizer", path("tokenizer.bin"), "-o", out,
               "--name", "model", "--lanes", "pairs"});
  EXPECT_CONTAINS(text, "int8_pairs");
  EXPECT_EQ(read_file(out), pairs);
}

TEST_F(CliPack, shards_are_packed_before_or_after_the_cut) {
  const std::string model = image();
  succeed({"shard", "-m", model, "--chips", "2", "-o", path("shards"), "-q"});
  const std::string shard = path("shards/model.1of2.mote");
  const Bytes plain = read_file(shard);
  const std::string pairs = packed(shard);
  EXPECT_EQ(read_file(pairs).size(), plain.size());
  succeed({"pack", "-m", pairs, "-o", path("back.mote"), "--lanes", "plain", "-q"});
  EXPECT_EQ(read_file(path("back.mote")), plain);
  succeed({"shard", "-m", packed(model), "--chips", "2", "-o", path("cut"), "-q"});
  EXPECT_CONTAINS(succeed({"inspect", path("cut/packed.1of2.mote")}), "int8_pairs");
}

TEST_F(CliPack, refuses_what_is_no_image_and_leaves_the_output_as_it_is) {
  const std::string model = image();
  const Bytes good = read_file(model);
  const std::string out = path("out.mote");
  test::write_file(out, {1, 2, 3});
  const auto refuse = [&](Bytes bytes) {
    test::write_file(path("bad.mote"), bytes);
    const std::ptrdiff_t files = file_count();
    EXPECT_CONTAINS(complaint({"pack", "-m", path("bad.mote"), "-o", out}), path("bad.mote"));
    EXPECT_EQ(read_file(out), (Bytes{1, 2, 3}));
    EXPECT_EQ(file_count(), files);
  };
  refuse({});
  refuse({1, 2, 3});
  refuse(Bytes(good.begin(), good.begin() + 100));
  refuse(Bytes(good.begin(), good.end() - 1));
  for (std::size_t place = 0; place < good.size(); place += good.size() / 61) {
    Bytes bytes = good;
    bytes[place] ^= 0x40;
    refuse(bytes);
  }
  EXPECT_CONTAINS(complaint({"pack", "-m", path("none.mote"), "-o", out}), path("none.mote"));
  EXPECT_CONTAINS(complaint({"pack", "-m", model, "-o", path("none/out.mote")}),
                  path("none/out.mote"));
  EXPECT_CONTAINS(complaint({"pack", "-m", model, "-o", model}), "would replace the input");
  EXPECT_EQ(read_file(model), good);
}

TEST_F(CliPack, refuses_unknown_lanes) {
  const ProgramResult result = mote({"pack", "-m", "x", "-o", "y", "--lanes", "odd"});
  EXPECT_GT(result.exit_code, 1);
  EXPECT_CONTAINS(result.errors, "--lanes");
  EXPECT_GT(mote({"pack", "-m", "x"}).exit_code, 1);
}

}  // namespace
}  // namespace mote
