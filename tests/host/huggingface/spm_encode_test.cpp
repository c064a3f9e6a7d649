// SPDX-License-Identifier: Apache-2.0
// The ids of SentencePiece's own tools, over texts and all that may stand in a line.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "convert/vocabulary.hpp"
#include "huggingface/sentencepiece_model.hpp"
#include "support/mapped_file.hpp"
#include "support/program.hpp"
#include "support/random.hpp"
#include "support/slow_build.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kLeastLines = 10000;

std::string find_tool(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string tool = folder + "/" + name;
    if (std::filesystem::exists(tool)) return tool;
  }
  return "";
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// The shared stories; without them what the project says of itself.
std::vector<std::string> text_lines() {
  const std::string stories = std::string(MOTE_SHARED_DIR) + "/data/tinystories_train.txt";
  if (std::filesystem::exists(stories)) return read_lines(stories);
  std::vector<std::string> lines;
  for (const char* name : {"README.md", "SPEC.md", "DESIGN.md", "docs/NUMERICS.md"}) {
    for (std::string& line : read_lines(std::string(MOTE_SOURCE_DIR) + "/" + name)) {
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

/// What spm_train is told of besides; some begin like another, some have spaces.
constexpr const char* kUserDefined =
    "<|im_start|>,<|im_end|>,<|im,dragon,the\xe2\x96\x81\xe2\x96\x81,\xe2\x96\x81Lily,@@,"
    "\xc3\xa9\xc3\xa9";

std::string random_line(test::Random& random) {
  static const std::vector<std::string> kParts = {" ",
                                                  " ",
                                                  " ",
                                                  "  ",
                                                  "     ",
                                                  "\t",
                                                  "\x01",
                                                  "\x1b",
                                                  "\x7f",
                                                  "\r",
                                                  ".",
                                                  ",",
                                                  "!?",
                                                  "1234",
                                                  "0",
                                                  "the",
                                                  "the ",
                                                  "the  ",
                                                  "once upon",
                                                  "Lily",
                                                  "dragon",
                                                  "dragons",
                                                  "<|im_start|>",
                                                  "<|im_end|>",
                                                  "<|im",
                                                  "_start|>",
                                                  "<s>",
                                                  "</s>",
                                                  "<unk>",
                                                  "<0x41>",
                                                  "@",
                                                  "@@@",
                                                  "\xc3\xa9",
                                                  "\xc3\xa9\xc3\xa9\xc3\xa9",
                                                  "na\xc3\xafve",
                                                  "\xc3\x9f",
                                                  "e\xcc\x81",
                                                  "\xce\xb1\xce\xb2",
                                                  "\xd0\xbc\xd0\xb8\xd1\x80",
                                                  "\xe4\xbd\xa0\xe5\xa5\xbd",
                                                  "\xe3\x80\x82",
                                                  "\xe3\x81\x82",
                                                  "\xed\x95\x9c",
                                                  "\xf0\x9f\x98\x80",
                                                  "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
                                                  "\xc2\xa0",
                                                  "\xe3\x80\x80",
                                                  "\xef\xbb\xbf",
                                                  "\xe2\x80\x9c",
                                                  "\xef\xac\x81",
                                                  "\xe2\x82\xac"};
  std::string line;
  for (std::uint64_t count = random.below(12); count > 0; --count) {
    line += kParts[random.below(kParts.size())];
  }
  return line;
}

std::vector<std::string> all_lines() {
  std::vector<std::string> lines = text_lines();
  test::Random random(7);
  const std::size_t generated =
      std::max<std::size_t>(4000, kLeastLines - std::min<std::size_t>(lines.size(), kLeastLines));
  for (std::size_t i = 0; i < generated; ++i) lines.push_back(random_line(random));
  return lines;
}

class SpmEncode : public testing::Test {
 protected:
  void SetUp() override {
    train_ = find_tool("spm_train");
    encode_ = find_tool("spm_encode");
    if (train_.empty() || encode_.empty()) {
      const char* required = std::getenv("MOTE_REQUIRE_SENTENCEPIECE");
      if (required != nullptr) FAIL() << "spm_train or spm_encode is not on this machine";
      GTEST_SKIP() << "spm_train or spm_encode is not on this machine";
    }
    folder_ = testing::TempDir() + "mote_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    write_lines("train.txt", text_lines());
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  void write_lines(const std::string& name, const std::vector<std::string>& lines) const {
    std::ofstream file(path(name), std::ios::binary);
    for (const std::string& line : lines) file << line << "\n";
  }

  void train(const std::vector<std::string>& options) const {
    std::vector<std::string> arguments = {"--input=" + path("train.txt"),
                                          "--model_prefix=" + path("t"),
                                          "--model_type=bpe",
                                          "--byte_fallback=true",
                                          "--normalization_rule_name=identity",
                                          "--num_threads=1",
                                          "--minloglevel=2"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const test::ProgramResult result = test::run_program(train_, arguments);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  /// Lines of ids, as spm_encode prints them.
  std::vector<std::string> reference_ids(const std::vector<std::string>& lines) const {
    write_lines("lines.txt", lines);
    const test::ProgramResult result =
        test::run_program(encode_, {"--model=" + path("t.model"), "--output_format=id",
                                    "--input=" + path("lines.txt"), "--output=" + path("ids.txt")});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return read_lines(path("ids.txt"));
  }

  /// Every line of the texts and of those that are made up.
  void expect_same_ids() const {
    const MappedFile file(path("t.model"));
    const std::vector<std::uint8_t> section =
        build_tokenizer_section(read_sentencepiece_model(file.bytes(), file.path()));
    Tokenizer tokenizer;
    ASSERT_EQ(tokenizer.open(section), Status::ok);
    const std::vector<std::string> lines = all_lines();
    const std::vector<std::string> expected = reference_ids(lines);
    ASSERT_GE(lines.size(), kLeastLines);
    ASSERT_EQ(expected.size(), lines.size());
    // Sanitizers see what they look for in a part of them.
    const std::size_t step = test::kIsSlowBuild ? 7 : 1;
    for (std::size_t i = 0; i < lines.size(); i += step) {
      ASSERT_EQ(ids_of(tokenizer, lines[i]), expected[i]) << "line " << i << ": " << lines[i];
    }
    RecordProperty("lines", static_cast<int>(lines.size() / step));
  }

 private:
  static std::string ids_of(const Tokenizer& tokenizer, const std::string& line) {
    std::vector<std::uint32_t> tokens(Tokenizer::max_tokens(line.size()));
    std::vector<std::uint32_t> scratch(tokens.size());
    std::size_t count = 0;
    EXPECT_EQ(tokenizer.encode(tokens, count, scratch, line, {false, false}), Status::ok);
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      text += (i == 0 ? "" : " ") + std::to_string(tokens[i]);
    }
    return text;
  }

  std::string folder_;
  std::string train_;
  std::string encode_;
};

TEST_F(SpmEncode, llama_settings) {
  train({"--vocab_size=1000", "--remove_extra_whitespaces=false", "--split_digits=true",
         "--allow_whitespace_only_pieces=true"});
  expect_same_ids();
}

TEST_F(SpmEncode, user_defined_pieces) {
  train({"--vocab_size=800", "--remove_extra_whitespaces=false",
         "--user_defined_symbols=" + std::string(kUserDefined)});
  expect_same_ids();
}

TEST_F(SpmEncode, extra_spaces_are_removed) {
  train({"--vocab_size=600", "--user_defined_symbols=" + std::string(kUserDefined)});
  expect_same_ids();
}

TEST_F(SpmEncode, no_space_is_put_before_a_text) {
  train({"--vocab_size=600", "--add_dummy_prefix=false"});
  expect_same_ids();
}

TEST_F(SpmEncode, few_characters_are_pieces) {
  train({"--vocab_size=500", "--character_coverage=0.98", "--add_dummy_prefix=false",
         "--remove_extra_whitespaces=false", "--user_defined_symbols=dragon"});
  expect_same_ids();
}

}  // namespace
}  // namespace mote::host
