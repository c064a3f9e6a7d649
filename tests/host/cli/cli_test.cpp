// SPDX-License-Identifier: Apache-2.0
// What the program does when it is used rightly. What it says else is in cli_errors_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "support/command_line.hpp"

namespace mote {
namespace {

using nlohmann::json;
using test::mote;
using test::ProgramResult;

class Cli : public test::CommandLine {};

ProgramResult succeed(const std::vector<std::string>& arguments) {
  ProgramResult result = mote(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return result;
}

std::size_t line_count(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(Cli, helps_with_itself_and_with_every_subcommand) {
  const ProgramResult help = succeed({"--help"});
  EXPECT_EQ(help.errors, "");
  for (const char* name : {"convert", "run", "perplexity", "inspect", "bench"}) {
    EXPECT_CONTAINS(help.output, name);
    const ProgramResult of_command = succeed({name, "--help"});
    EXPECT_EQ(of_command.errors, "");
    EXPECT_CONTAINS(of_command.output, "Example:");
    EXPECT_CONTAINS(of_command.output, std::string("mote ") + name);
    EXPECT_EQ(succeed({name, "-h"}).output, of_command.output);
  }
}

TEST_F(Cli, converts_with_a_table) {
  const ProgramResult result = succeed(
      {"convert", path("model.bin"), "--tokenizer", path("tokenizer.bin"), "--license", "MIT"});
  EXPECT_CONTAINS(result.output, path("model.mote") + ": llama2.c");
  EXPECT_CONTAINS(result.output, "layers.1.w_down");
  EXPECT_EQ(result.errors, "");
  const test::SpecImage image = test::parse_image(test::read_file(path("model.mote")));
  const test::Bytes& metadata = image.find(2).bytes;
  EXPECT_EQ(std::string(metadata.begin(), metadata.end()), "name=model\nlicense=MIT\n");
}

TEST_F(Cli, converts_with_a_report_that_is_json) {
  for (const char* weights : {"int8", "int4"}) {
    const ProgramResult result =
        succeed({"convert", path("model.bin"), "--tokenizer", path("tokenizer.bin"), "-o",
                 path("x.mote"), "--weights", weights, "--block", "16", "--json"});
    const json report = json::parse(result.output);
    EXPECT_EQ(report["image"], path("x.mote"));
    EXPECT_EQ(report["image_bytes"], test::read_file(path("x.mote")).size());
    EXPECT_EQ(report["tensors"][0]["format"], weights);
  }
}

TEST_F(Cli, is_silent_where_it_is_told_to_be) {
  const ProgramResult result = succeed({"convert", path("model.bin"), "--tokenizer",
                                        path("tokenizer.bin"), "-o", path("x.mote"), "-q"});
  EXPECT_EQ(result.output + result.errors, "");
}

TEST_F(Cli, run_writes_the_text_alone_on_standard_output) {
  const ProgramResult result = succeed({"run", "-m", image(), "-p", "hello", "-n", "5"});
  EXPECT_TRUE(result.output.starts_with("hello")) << result.output;
  EXPECT_TRUE(result.output.ends_with("\n"));
  EXPECT_EQ(result.output.find("tokens/s"), std::string::npos);
  EXPECT_CONTAINS(result.errors, "prompt: ");
  EXPECT_CONTAINS(result.errors, "generation: 5 tokens");
  EXPECT_CONTAINS(result.errors, "seed: ");
}

TEST_F(Cli, run_of_no_token_gives_the_prompt_back) {
  const ProgramResult result =
      succeed({"run", "-m", image(), "-p", "hello", "-n", "0", "--temp", "0"});
  EXPECT_EQ(result.output, "hello\n");
  EXPECT_EQ(result.errors.find("seed"), std::string::npos);
  EXPECT_EQ(succeed({"run", "-m", image(), "-n", "0"}).output, "\n");
}

TEST_F(Cli, a_seed_gives_the_same_text_again) {
  const std::string model = image();
  std::set<std::string> texts;
  for (int seed = 1; seed <= 8; ++seed) {
    const std::vector<std::string> arguments = {
        "run", "-m", model, "-p", "a", "-n", "12", "--temp", "2", "--seed", std::to_string(seed)};
    const std::string text = succeed(arguments).output;
    EXPECT_EQ(succeed(arguments).output, text);
    texts.insert(text);
  }
  EXPECT_GT(texts.size(), 4U);
}

TEST_F(Cli, a_printed_seed_repeats_the_run) {
  const std::string model = image();
  std::vector<std::string> arguments = {"run", "-m", model, "-p", "a", "-n", "12", "--temp", "1"};
  const ProgramResult first = succeed(arguments);
  std::smatch seed;
  ASSERT_TRUE(std::regex_search(first.errors, seed, std::regex("seed: ([0-9]+)")));
  arguments.insert(arguments.end(), {"-s", seed[1].str()});
  EXPECT_EQ(succeed(arguments).output, first.output);
}

TEST_F(Cli, greedy_text_does_not_depend_on_the_seed) {
  const std::string model = image();
  const auto text = [&](const char* seed) {
    return succeed({"run", "-m", model, "-p", "a", "-n", "9", "--temp", "0", "-s", seed}).output;
  };
  EXPECT_EQ(text("1"), text("2"));
}

TEST_F(Cli, run_stops_where_the_context_is_full) {
  const ProgramResult result = succeed({"run", "-m", image(), "-p", "a", "--seed", "1", "-c", "8"});
  EXPECT_TRUE(std::regex_search(result.errors, std::regex("ended by the (context|model)")))
      << result.errors;
}

TEST_F(Cli, run_reads_its_prompt_from_a_file) {
  const std::string model = image();
  const std::string prompt = "abc\n\xf0\x9f\x98\x80";
  test::write_file(path("prompt.txt"), {prompt.begin(), prompt.end()});
  const ProgramResult result =
      succeed({"run", "-m", model, "-f", path("prompt.txt"), "-n", "3", "--temp", "0"});
  EXPECT_TRUE(result.output.starts_with(prompt));
  EXPECT_EQ(succeed({"run", "-m", model, "-p", prompt, "-n", "3", "--temp", "0"}).output,
            result.output);
}

TEST_F(Cli, measures_perplexity) {
  const std::string model = image();
  const ProgramResult text = succeed({"perplexity", "-m", model, "-f", path("text.txt")});
  EXPECT_EQ(line_count(text.output), 4U);
  EXPECT_EQ(text.errors, "");
  const json report =
      json::parse(succeed({"perplexity", "-m", model, "-f", path("text.txt"), "--json"}).output);
  EXPECT_EQ(report["model"], model);
  EXPECT_EQ(report["stories"], 2);
  EXPECT_EQ(report["characters"], 20);
  EXPECT_GT(report["tokens"], 4);
  EXPECT_NEAR(std::log(report["perplexity"].get<double>()),
              report["mean_negative_log_likelihood"].get<double>(), 1e-12);
  EXPECT_CONTAINS(text.output, report["tokens"].dump());
}

TEST_F(Cli, inspects_an_image) {
  const std::string model = image();
  const ProgramResult text = succeed({"inspect", model});
  EXPECT_EQ(text.errors, "");
  for (const char* part :
       {"Mote image, version 1", "token_embedding", "layers.1.w_down", "flash: "}) {
    EXPECT_CONTAINS(text.output, part);
  }
  const json report = json::parse(succeed({"inspect", "-m", model, "--json", "-c", "8,24"}).output);
  const test::Bytes bytes = test::read_file(model);
  EXPECT_EQ(report["image_bytes"], bytes.size());
  EXPECT_EQ(report["sections"].size(), test::parse_image(bytes).sections.size());
  EXPECT_EQ(report["config"]["context_length"], 24);
  EXPECT_EQ(report["metadata"]["name"], "model");
  ASSERT_EQ(report["arena"].size(), 2U);
  EXPECT_EQ(report["arena"][0]["context_length"], 8);
  EXPECT_LT(report["arena"][0]["arena_bytes"], report["arena"][1]["arena_bytes"]);
}

TEST_F(Cli, benches_in_both_forms) {
  const std::string model = image();
  const std::vector<std::string> arguments = {"bench", "-m", model, "-p", "8",
                                              "-n",    "4",  "-r",  "2",  "-o"};
  std::vector<std::string> markdown = arguments;
  markdown.push_back("md");
  const ProgramResult table = succeed(markdown);
  EXPECT_EQ(line_count(table.output), 4U) << table.output;
  EXPECT_CONTAINS(table.output, "| pp8 |");
  EXPECT_CONTAINS(table.output, "| tg4 |");
  std::vector<std::string> as_json = arguments;
  as_json.push_back("json");
  const json rows = json::parse(succeed(as_json).output);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0]["test"], "pp8");
  EXPECT_GT(rows[1]["tokens_per_second"], 0);
  EXPECT_GT(rows[1]["bytes_per_token"], 0);
}

TEST_F(Cli, benches_behind_tokens) {
  const std::string model = image();
  const ProgramResult table =
      succeed({"bench", "-m", model, "-p", "2", "-n", "2", "-r", "2", "-d", "5"});
  EXPECT_CONTAINS(table.output, "| pp2 @ d5 |");
  EXPECT_CONTAINS(table.output, "| tg2 @ d5 |");
}

TEST_F(Cli, bench_prints_the_signature) {
  const test::Bytes golden = test::read_file(MOTE_SOURCE_DIR "/tests/signature.txt");
  EXPECT_EQ(succeed({"bench", "--signature"}).output,
            "Signature: " + std::string(golden.begin(), golden.end()));
}

TEST_F(Cli, json_is_valid_whatever_the_path_holds) {
  const std::string model = path("mod\xff\xc3.mote");
  std::filesystem::rename(image(), model);
  const std::string text = path("text.txt");
  EXPECT_TRUE(json::accept(succeed({"inspect", model, "--json"}).output));
  EXPECT_TRUE(json::accept(succeed({"perplexity", "-m", model, "-f", text, "--json"}).output));
  EXPECT_TRUE(
      json::accept(succeed({"bench", "-m", model, "-n", "0", "-r", "1", "-o", "json"}).output));
}

}  // namespace
}  // namespace mote
