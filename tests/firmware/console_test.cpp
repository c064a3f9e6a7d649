// SPDX-License-Identifier: Apache-2.0
#include "firmware/console.hpp"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "support/fake_board.hpp"

namespace mote::firmware {
namespace {

class ConsoleTest : public testing::Test {
 protected:
  ConsoleTest() : board_({}) { test::use_board(board_); }

  std::string line() { return {console_.line().data(), console_.line().size()}; }
  bool type(const std::string& text) {
    board_.typed += text;
    return console_.poll();
  }

  test::FakeBoard board_;
  Console console_;
};

TEST_F(ConsoleTest, people_get_a_prompt_and_an_echo) {
  EXPECT_FALSE(type("in"));
  EXPECT_TRUE(type("fo\n"));
  EXPECT_EQ(line(), "info");
  EXPECT_FALSE(console_.is_tool());
  EXPECT_EQ(board_.shown, "> info\r\n");
}

TEST_F(ConsoleTest, tools_get_neither) {
  EXPECT_TRUE(type("!info\n"));
  EXPECT_EQ(line(), "info");
  EXPECT_TRUE(console_.is_tool());
  EXPECT_EQ(board_.shown, "");
}

TEST_F(ConsoleTest, all_ends_of_lines_are_ends) {
  for (const char* end : {"\n", "\r", "\r\n"}) {
    EXPECT_TRUE(type(std::string("!a") + end)) << end;
    EXPECT_EQ(line(), "a");
    console_.drop_line();
  }
  EXPECT_FALSE(console_.poll()) << "the line feed belongs to the line before";
  EXPECT_TRUE(type("\n"));
  EXPECT_EQ(line(), "");
}

TEST_F(ConsoleTest, nothing_is_taken_before_the_line_is_dropped) {
  EXPECT_TRUE(type("!a\n!b\n"));
  EXPECT_TRUE(console_.poll());
  EXPECT_EQ(line(), "a");
  console_.drop_line();
  EXPECT_TRUE(console_.poll());
  EXPECT_EQ(line(), "b");
}

TEST_F(ConsoleTest, erases_whole_characters) {
  EXPECT_TRUE(type("a\xc3\xb6\x7f\bb\b\b\bc\n"));
  EXPECT_EQ(line(), "c");
}

TEST_F(ConsoleTest, a_line_that_is_too_long_is_cut_and_told) {
  EXPECT_TRUE(type("!" + std::string(1023, 'x') + "\n"));
  EXPECT_FALSE(console_.is_too_long());
  EXPECT_EQ(line().size(), 1023U);
  console_.drop_line();
  EXPECT_TRUE(type("!" + std::string(5000, 'x') + "\n"));
  EXPECT_TRUE(console_.is_too_long());
  EXPECT_EQ(line().size(), 1023U);
  console_.drop_line();
  EXPECT_TRUE(type(std::string(5000, 'y') + "\n"));
  EXPECT_TRUE(console_.is_too_long());
  EXPECT_EQ(line().size(), 1024U);
}

TEST_F(ConsoleTest, control_c_is_told_once_and_is_no_part_of_a_line) {
  EXPECT_TRUE(
      type("!a\x03"
           "b\n"));
  EXPECT_EQ(line(), "ab");
  EXPECT_TRUE(console_.take_stop());
  EXPECT_FALSE(console_.take_stop());
}

TEST_F(ConsoleTest, json_begins_a_line_of_its_own) {
  console_.prompt();
  EXPECT_TRUE(type("!x\n"));
  Report(console_, true).number("a", UINT64_MAX).text("b", "c\"\\\n").done().end();
  const auto lines = test::json_lines(board_.shown);
  ASSERT_EQ(lines.size(), 1U) << board_.shown;
  const auto json = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(json["a"], UINT64_MAX);
  EXPECT_EQ(json["b"], "c\"\\\n");
  EXPECT_EQ(json["done"], true);
}

TEST_F(ConsoleTest, any_bytes_become_valid_json) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  // Overlong, a surrogate, past the end of Unicode, cut; and valid ones of 2, 3 and 4 bytes.
  bytes += "\xc0\x80\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80\xf0\x80\x80\x80";
  bytes += "\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x82";
  Report(console_, true).text("t", bytes).end();
  const auto json = nlohmann::json::parse(board_.shown);
  const auto text = json["t"].get<std::string>();
  EXPECT_NE(text.find("\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80"), std::string::npos);
  EXPECT_EQ(text.substr(0, 128), bytes.substr(0, 128));
}

TEST_F(ConsoleTest, lists_and_hashes_are_json_too) {
  Report report(console_, true);
  report.begin_list("none");
  report.end_list();
  report.begin_list("two");
  for (std::uint32_t i = 0; i < 2; ++i) {
    report.begin_item();
    report.number("i", i).number("j", i);
  }
  report.end_list();
  report.hex("h", 0x0123456789abcdefU).done().end();
  const auto json = nlohmann::json::parse(board_.shown);
  EXPECT_TRUE(json["none"].empty());
  EXPECT_EQ(json["two"][1]["j"], 1);
  EXPECT_EQ(json["h"], "0123456789abcdef");
}

TEST_F(ConsoleTest, people_get_a_line_each) {
  Report report(console_, false);
  report.number("a", 1).text("b", "c").done().end();
  EXPECT_EQ(board_.shown, "  a                 1\r\n  b                 c\r\n");
}

}  // namespace
}  // namespace mote::firmware
