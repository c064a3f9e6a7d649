// SPDX-License-Identifier: Apache-2.0
// Models that write beyond their trained context: `convert --window` and `perplexity --stream`.
#include <gtest/gtest.h>

#include <algorithm>
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
using Arguments = std::vector<std::string>;

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

class CliWindow : public test::CommandLine {
 protected:
  ProgramResult convert(const Arguments& options) const {
    Arguments arguments = {"convert", path("model.bin"), "--tokenizer", path("tokenizer.bin"),
                           "-o",      path("w.mote"),    "-q"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return mote(arguments);
  }
  /// The image that `options` make.
  test::SpecImage converted(const Arguments& options) const {
    const ProgramResult result = convert(options);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return test::parse_image(test::read_file(path("w.mote")));
  }
  /// A text of more tokens than the model's context has positions.
  std::string long_text() const {
    std::string text;
    for (int i = 0; i < 400; ++i) text += i % 40 == 39 ? "\n<|endoftext|>\n" : "hello abc ";
    test::write_file(path("long.txt"), {text.begin(), text.end()});
    return path("long.txt");
  }
  ProgramResult stream(const std::string& model, const Arguments& options) const {
    Arguments arguments = {"perplexity", "-m", model, "-f", long_text()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return mote(arguments);
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

std::size_t attention_count(const test::SpecImage& image) {
  return static_cast<std::size_t>(
      std::ranges::count(image.sections, 25U, &test::SpecSection::kind));
}

TEST_F(CliWindow, every_layer_gets_the_window) {
  const test::SpecImage image = converted({"--window", "8", "--sinks", "2"});
  const Bytes expected = {1, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(attention_count(image), 2U);
  EXPECT_EQ(image.find(25, 1).bytes, expected);
  EXPECT_EQ(image.find(25, 2).bytes, expected);
}

TEST_F(CliWindow, only_named_layers_get_the_window) {
  const test::SpecImage second = converted({"--window", "24", "--window-layers", "1"});
  EXPECT_EQ(attention_count(second), 1U);
  EXPECT_EQ(second.find(25, 2).bytes, (Bytes{1, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(attention_count(converted({"--window", "8", "--window-layers", "0,1"})), 2U);
  EXPECT_EQ(attention_count(converted({})), 0U);
}

TEST_F(CliWindow, windows_out_of_range_are_refused_by_name) {
  const auto refused = [&](const Arguments& options) { return complaint(convert(options)); };
  EXPECT_CONTAINS(refused({"--window", "25"}), "layer 0: window is 25, must be 1 to 24");
  EXPECT_CONTAINS(refused({"--window", "21", "--sinks", "4"}), "window is 21, must be 1 to 20");
  EXPECT_CONTAINS(refused({"--window", "8", "--sinks", "65"}), "sinks is 65, must be 0 to 64");
  EXPECT_CONTAINS(refused({"--window", "25", "--window-layers", "1"}), "layer 1: window is 25");
  EXPECT_CONTAINS(refused({"--window", "8", "--window-layers", "2"}),
                  "--window-layers 2: the model has layers 0 to 1");
  EXPECT_CONTAINS(refused({"--sinks", "4"}), "need --window");
  EXPECT_CONTAINS(refused({"--window-layers", "0"}), "need --window");
}

TEST_F(CliWindow, windows_that_are_no_numbers_are_refused_by_name) {
  const auto refused = [&](const Arguments& options) { return usage(convert(options)); };
  for (const char* value : {"-1", "x", "4294967296", "1.5"}) {
    EXPECT_CONTAINS(refused({"--window", value}), "--window");
    EXPECT_CONTAINS(refused({"--window", "8", "--sinks", value}), "--sinks");
    EXPECT_CONTAINS(refused({"--window", "8", "--window-layers", value}), "--window-layers");
  }
}

TEST_F(CliWindow, a_stream_is_a_table_of_its_parts) {
  converted({"--window", "8", "--sinks", "2"});
  const std::string table = succeed(stream(path("w.mote"), {"--stream", "1101"}));
  EXPECT_EQ(std::ranges::count(table, '\n'), 5) << table;
  for (const char* part : {"\n1 to 512 ", "\n513 to 1024 ", "\n1025 to 1100 ", "\nall "}) {
    EXPECT_CONTAINS(table, part);
  }
  EXPECT_EQ(table.find("recomputed"), std::string::npos);
}

TEST_F(CliWindow, a_stream_is_compared_with_reading_anew) {
  converted({"--window", "8", "--sinks", "2"});
  const Arguments options = {"--stream", "601", "--recompute", "8", "--stride", "5"};
  const std::string table = succeed(stream(path("w.mote"), options));
  EXPECT_CONTAINS(table, "the last 8 tokens read anew");
  EXPECT_CONTAINS(table, "one token in 5 is counted");
  Arguments as_json = options;
  as_json.push_back("--json");
  const json report = json::parse(succeed(stream(path("w.mote"), as_json)));
  EXPECT_EQ(report["stream_tokens"], 601);
  EXPECT_EQ(report["recompute"], 8);
  EXPECT_EQ(report["stride"], 5);
  ASSERT_EQ(report["parts"].size(), 2U);
  EXPECT_EQ(report["parts"][1]["first"], 513);
  EXPECT_EQ(report["parts"][1]["last"], 600);
  EXPECT_GT(report["parts"][1]["recomputed_perplexity"], 1);
  EXPECT_NE(report["perplexity"], report["recomputed_perplexity"]);
}

/// Nothing is forgotten, so that reading anew changes nothing.
TEST_F(CliWindow, a_stream_within_the_window_equals_reading_anew) {
  const json report =
      json::parse(succeed(stream(image(), {"--stream", "25", "--recompute", "24", "--json"})));
  EXPECT_EQ(report["last"], 24);
  EXPECT_EQ(report["perplexity"], report["recomputed_perplexity"]);
}

TEST_F(CliWindow, a_stream_that_cannot_be_read_is_refused) {
  const std::string causal = image();
  EXPECT_EQ(complaint(stream(causal, {"--stream", "26"})),
            "mote: " + causal +
                ": a stream of 26 tokens needs 25 positions, its causal layers have 24; a model "
                "without such layers has no end (mote convert --window)\n");
  converted({"--window", "8", "--window-layers", "0"});
  EXPECT_CONTAINS(complaint(stream(path("w.mote"), {"--stream", "26"})), "needs 25 positions");
  EXPECT_CONTAINS(complaint(stream(causal, {"--stream", "20", "-c", "18"})), "layers have 18;");
  EXPECT_CONTAINS(complaint(stream(causal, {"--stream", "1000000"})), "long.txt: holds ");
}

TEST_F(CliWindow, stream_options_out_of_range_are_refused_by_name) {
  const auto refused = [&](const Arguments& options) { return usage(stream("x.mote", options)); };
  EXPECT_CONTAINS(refused({"--stream", "1"}), "--stream");
  EXPECT_CONTAINS(refused({"--stream", "-5"}), "--stream");
  EXPECT_CONTAINS(refused({"--stream", "9", "--recompute", "0"}), "--recompute");
  EXPECT_CONTAINS(refused({"--stream", "9", "--recompute", "65537"}), "--recompute");
  EXPECT_CONTAINS(refused({"--stream", "9", "--recompute", "8", "--stride", "0"}), "--stride");
  EXPECT_CONTAINS(refused({"--stream", "9", "--recompute", "8", "--stride", "513"}), "--stride");
  EXPECT_CONTAINS(refused({"--recompute", "8"}), "--stream");
  EXPECT_CONTAINS(refused({"--stream", "9", "--stride", "8"}), "--recompute");
}

}  // namespace
}  // namespace mote
