// SPDX-License-Identifier: Apache-2.0
// Every error is one line on standard error that names what it is about, nothing on standard
// output, and an exit code that scripts can test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "support/command_line.hpp"

namespace mote {
namespace {

using test::Bytes;
using test::mote;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

class CliErrors : public test::CommandLine {
 protected:
  /// Each subcommand that opens an image, with `model` as the image.
  std::vector<Arguments> uses_of(const std::string& model) const {
    return {{"run", "-m", model, "-p", "a", "-n", "1"},
            {"perplexity", "-m", model, "-f", path("text.txt")},
            {"inspect", model},
            {"inspect", model, "--json"},
            {"bench", "-m", model, "-p", "1", "-n", "1"},
            {"bench", "-m", model, "-o", "json"}};
  }
};

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

/// The one line that the program says; it must fail and say nothing else.
std::string complaint(const Arguments& arguments) {
  const ProgramResult result = mote(arguments);
  EXPECT_GT(result.exit_code, 0) << arguments[0];
  EXPECT_EQ(result.output, "");
  EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
  EXPECT_TRUE(result.errors.starts_with("mote: ")) << result.errors;
  return result.errors;
}

/// A complaint about the command line itself, which points to the help.
std::string usage(const Arguments& arguments) {
  const ProgramResult result = mote(arguments);
  EXPECT_GT(result.exit_code, 0);
  EXPECT_EQ(result.output, "");
  EXPECT_TRUE(result.errors.ends_with("Run with --help for more information.\n")) << result.errors;
  return result.errors;
}

TEST_F(CliErrors, a_command_line_that_is_not_understood) {
  EXPECT_CONTAINS(usage({}), "subcommand is required");
  EXPECT_CONTAINS(usage({"frobnicate"}), "frobnicate");
  EXPECT_CONTAINS(usage({"--frobnicate"}), "--frobnicate");
  for (const char* name : {"convert", "run", "perplexity", "inspect", "bench"}) {
    EXPECT_CONTAINS(usage({name, "--frobnicate"}), "--frobnicate");
  }
  for (const char* name : {"convert", "run", "perplexity", "inspect"}) {
    EXPECT_CONTAINS(usage({name}), "is required");
  }
  EXPECT_CONTAINS(usage({"run", "-m", "x", "y"}), "y");
  EXPECT_CONTAINS(complaint({"bench"}), "name a model (-m)");
}

TEST_F(CliErrors, an_option_out_of_its_range) {
  const Arguments refused[] = {{"-n", "-2"},
                               {"-n", "x"},
                               {"-c", "-1"},
                               {"--temp", "-0.1"},
                               {"--temp", "101"},
                               {"--temp", "nan"},
                               {"--top-p", "0"},
                               {"--top-p", "1.1"},
                               {"--top-p", "nan"},
                               {"--min-p", "1"},
                               {"--min-p", "nan"},
                               {"--repeat-penalty", "0.9"},
                               {"--repeat-penalty", "nan"},
                               {"--seed", "-2"},
                               {"--top-k", "-1"},
                               {"-p", "a", "-f", "b"}};
  for (const Arguments& options : refused) {
    Arguments arguments = {"run", "-m", "x.mote"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    usage(arguments);
  }
  usage({"bench", "-m", "x", "-r", "0"});
  usage({"bench", "-m", "x", "-b", "65"});
  usage({"bench", "-m", "x", "-o", "xml"});
  usage({"convert", "a", "--tokenizer", "b", "--weights", "int3"});
  usage({"convert", "a", "--tokenizer", "b", "--block", "24"});
}

TEST_F(CliErrors, an_image_that_is_not_there) {
  for (const Arguments& arguments : uses_of(path("nothing.mote"))) {
    EXPECT_EQ(complaint(arguments),
              "mote: " + path("nothing.mote") + ": cannot open: No such file or directory\n");
  }
}

TEST_F(CliErrors, a_bench_behind_the_whole_context) {
  const std::string model = image();
  EXPECT_EQ(complaint({"bench", "-m", model, "-d", "24"}),
            "mote: " + model + ": a depth of 24 tokens leaves no room in a context of 24\n");
}

TEST_F(CliErrors, a_folder_as_an_image) {
  for (const Arguments& arguments : uses_of(folder())) {
    EXPECT_EQ(complaint(arguments), "mote: " + folder() + ": not a regular file\n");
  }
}

TEST_F(CliErrors, an_empty_image) {
  test::write_file(path("empty.mote"), {});
  for (const Arguments& arguments : uses_of(path("empty.mote"))) {
    EXPECT_EQ(complaint(arguments), "mote: " + path("empty.mote") + ": the file is empty\n");
  }
}

TEST_F(CliErrors, a_file_that_is_no_image) {
  for (const Arguments& arguments : uses_of(path("model.bin"))) {
    EXPECT_EQ(complaint(arguments), "mote: " + path("model.bin") + ": not a Mote image\n");
  }
}

TEST_F(CliErrors, a_damaged_image) {
  const Bytes good = test::read_file(image());
  for (const std::size_t place : {std::size_t{8}, std::size_t{100}, good.size() / 2}) {
    Bytes bytes = good;
    bytes[place] ^= 4;
    test::write_file(path("damaged.mote"), bytes);
    for (const Arguments& arguments : uses_of(path("damaged.mote"))) {
      EXPECT_CONTAINS(complaint(arguments), path("damaged.mote") + ": ");
    }
  }
  test::write_file(path("short.mote"), {good.begin(), good.begin() + 700});
  for (const Arguments& arguments : uses_of(path("short.mote"))) {
    EXPECT_CONTAINS(complaint(arguments), "shorter than its header says");
  }
}

TEST_F(CliErrors, a_context_that_the_model_does_not_have) {
  const std::string model = image();
  EXPECT_EQ(
      complaint({"run", "-m", model, "-p", "a", "-c", "25"}),
      "mote: " + model + ": a context of 25 positions was asked for; the model has 1 to 24\n");
  EXPECT_CONTAINS(complaint({"perplexity", "-m", model, "-f", path("text.txt"), "-c", "25"}),
                  "1 to 24");
  EXPECT_CONTAINS(complaint({"inspect", model, "-c", "8,25"}), "--ctx-size 25");
  EXPECT_CONTAINS(complaint({"inspect", model, "-c", "0"}), "--ctx-size 0");
}

TEST_F(CliErrors, a_prompt_that_the_context_does_not_hold) {
  const std::string model = image();
  EXPECT_EQ(complaint({"run", "-m", model, "-p", "w w w w w w", "-c", "4"}),
            "mote: " + model + ": the prompt has 13 tokens, the context 4 positions\n");
}

TEST_F(CliErrors, a_text_that_cannot_be_read) {
  const std::string model = image();
  test::write_file(path("empty.txt"), {});
  test::write_file(path("blank.txt"), {' ', '\n', '\n'});
  const auto of_text = [&](const std::string& text) {
    return complaint({"perplexity", "-m", model, "-f", text});
  };
  EXPECT_CONTAINS(of_text(path("nothing.txt")), path("nothing.txt") + ": cannot open");
  EXPECT_CONTAINS(of_text(path("empty.txt")), path("empty.txt") + ": the file is empty");
  EXPECT_CONTAINS(of_text(path("blank.txt")), path("blank.txt") + ": holds no text");
  EXPECT_CONTAINS(complaint({"run", "-m", model, "-f", path("nothing.txt")}),
                  path("nothing.txt") + ": cannot open");
}

TEST_F(CliErrors, a_conversion_that_cannot_be_done) {
  const std::string model = path("model.bin");
  const std::string tokenizer = path("tokenizer.bin");
  const std::string out = path("out.mote");
  const auto of_files = [&](const std::string& source, const std::string& with) {
    const std::string line = complaint({"convert", source, "--tokenizer", with, "-o", out});
    EXPECT_FALSE(std::filesystem::exists(out));
    return line;
  };
  EXPECT_CONTAINS(of_files(path("nothing.bin"), tokenizer), path("nothing.bin") + ": cannot open");
  EXPECT_CONTAINS(of_files(model, path("nothing.bin")), path("nothing.bin") + ": cannot open");
  EXPECT_CONTAINS(of_files(folder(), tokenizer), folder() + "/config.json: cannot open");
  EXPECT_CONTAINS(of_files(path("text.txt"), tokenizer), path("text.txt"));
  EXPECT_CONTAINS(of_files(model, path("text.txt")), path("text.txt"));
  EXPECT_CONTAINS(of_files(image(), tokenizer), path("model.mote"));
  EXPECT_CONTAINS(complaint({"convert", model, "--tokenizer", tokenizer, "-o", model}),
                  model + ": the output would replace an input");
  EXPECT_CONTAINS(
      complaint({"convert", model, "--tokenizer", tokenizer, "-o", path("no/where.mote")}),
      path("no/where.mote"));
}

TEST_F(CliErrors, an_output_that_takes_nothing) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const std::string model = image();
  for (const Arguments& arguments : uses_of(model)) {
    const ProgramResult result = mote(arguments, "/dev/full");
    EXPECT_EQ(result.exit_code, 1) << arguments[0];
    EXPECT_TRUE(result.errors.starts_with("mote: ")) << arguments[0] << ": " << result.errors;
  }
}

}  // namespace
}  // namespace mote
