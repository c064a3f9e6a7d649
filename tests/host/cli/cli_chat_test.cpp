// SPDX-License-Identifier: Apache-2.0
// `mote convert` and `mote chat` of a model with byte-level BPE and a chat template.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/named_model.hpp"
#include "support/program.hpp"
#include "support/spec_image.hpp"

namespace mote::test {
namespace {

const std::string kChatml =
    "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}";

class CliChat : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote_chat_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    model_.shape.vocab_size = 265;
    model_.shape.context_length = 256;
    model_.byte_level = true;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  void convert(const std::string& jinja) const {
    GgufWriter writer = begin_gguf(model_);
    if (!jinja.empty()) writer.add_string("tokenizer.chat_template", jinja);
    write_file(path("m.gguf"), writer.file());
    const ProgramResult result =
        run_program(MOTE_PROGRAM, {"convert", path("m.gguf"), "-o", path("m.mote"), "-q"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
  }

  ProgramResult chat(const std::string& input, const std::string& options) const {
    const std::string text = "printf '" + input + "' | " + std::string(MOTE_PROGRAM) + " chat -m " +
                             path("m.mote") + " --temp 0 -n 6 " + options;
    return run_program("/bin/sh", {"-c", text});
  }

  static std::vector<nlohmann::json> parse_lines(const std::string& text) {
    std::vector<nlohmann::json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }

  NamedModel model_;
  std::string folder_;
};

TEST_F(CliChat, AnswersEachLineOfAPipe) {
  convert(kChatml);
  const ProgramResult result = chat("one\\n\\ntwo\\r\\nthree", "--json");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto lines = parse_lines(result.output);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["message"], "one");
  EXPECT_EQ(lines[1]["message"], "two");
  EXPECT_EQ(lines[2]["message"], "three");
  for (const auto& line : lines) {
    EXPECT_LE(line["tokens"], 6);
    EXPECT_EQ(line["forgotten_turns"], 0);
  }
  // The template's own system prompt: marks 3, "system", "user", "assistant", ends of lines.
  const std::size_t first = std::string("system\nBe kind\nuser\none\nassistant\n").size() + 5;
  EXPECT_EQ(lines[0]["context_tokens"].get<std::size_t>(),
            first + lines[0]["tokens"].get<std::size_t>());
  const ProgramResult plain = chat("one", "");
  EXPECT_EQ(plain.exit_code, 0);
  EXPECT_EQ(plain.output.find("> "), std::string::npos);
}

TEST_F(CliChat, SystemAndTemplateCanBeChosen) {
  convert(kChatml);
  const auto own = parse_lines(chat("a", "--json --system Stay").output);
  const auto none = parse_lines(chat("a", "--json --system \"\"").output);
  const auto chosen = parse_lines(chat("a", "--json --template chatml").output);
  ASSERT_EQ(own.size(), 1u);
  ASSERT_EQ(none.size(), 1u);
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(own[0]["context_tokens"].get<int>() - own[0]["tokens"].get<int>(),
            none[0]["context_tokens"].get<int>() - none[0]["tokens"].get<int>() + 14);
  EXPECT_EQ(chosen[0]["answer"], none[0]["answer"]);
}

TEST_F(CliChat, SeveralChipsAnswerAsOne) {
  convert(kChatml);
  EXPECT_EQ(chat("one\\ntwo\\n", "--json").output, chat("one\\ntwo\\n", "--json --chips 2").output);
}

TEST_F(CliChat, AFullContextForgetsAndSaysSo) {
  convert(kChatml);
  const ProgramResult result = chat("one\\ntwo\\nthree\\n", "-c 90");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.errors.find("no longer fit the context"), std::string::npos) << result.errors;
  const ProgramResult refused = chat("one two three four five six seven eight nine", "-c 60");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.errors.find("the context 60 positions"), std::string::npos) << refused.errors;
}

TEST_F(CliChat, WithoutATemplateTheChoicesAreNamed) {
  convert("");
  const ProgramResult result = chat("a", "");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(
      result.errors.find("choose one with --template: chatml, llama2, llama3, mistral, zephyr"),
      std::string::npos)
      << result.errors;
  EXPECT_EQ(chat("a", "--template chatml").exit_code, 0);
  EXPECT_NE(chat("a", "--template llama3").errors.find("needs the token <|eot_id|>"),
            std::string::npos);
  EXPECT_NE(chat("a", "--template nonsense").exit_code, 0);
}

TEST_F(CliChat, RunEncodesWithTheSameTokenizer) {
  convert("");
  const ProgramResult result = run_program(
      MOTE_PROGRAM, {"run", "-m", path("m.mote"), "-p", "ab 12", "-n", "3", "--temp", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.errors.find("prompt: 4 tokens"), std::string::npos) << result.errors;
}

}  // namespace
}  // namespace mote::test
