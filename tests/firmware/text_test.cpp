// SPDX-License-Identifier: Apache-2.0
#include "firmware/text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>

namespace mote::firmware {
namespace {

constexpr std::uint64_t kUntouched = 99;

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = kUntouched;
  return parse_number(value, text) ? value : kUntouched;
}

std::uint64_t q16_of(std::string_view text) {
  std::uint64_t value = kUntouched;
  return parse_q16(value, text) ? value : kUntouched;
}

std::string unescaped(std::string text, bool expected = true) {
  std::span<char> bytes(text);
  EXPECT_EQ(unescape(bytes), expected) << text;
  return {bytes.data(), bytes.size()};
}

TEST(ParseNumber, takes_digits_below_two_to_the_64) {
  EXPECT_EQ(number_of("0"), 0U);
  EXPECT_EQ(number_of("0042"), 42U);
  EXPECT_EQ(number_of("18446744073709551615"), UINT64_MAX);
  for (const char* text :
       {"", "18446744073709551616", "99999999999999999999", "-1", "+1", "1 ", "0x10", "1.0", "a"}) {
    EXPECT_EQ(number_of(text), kUntouched) << text;
  }
}

TEST(ParseQ16, rounds_as_the_host_does) {
  for (const char* text : {"0", "1", "0.8", "0.9", "0.95", "0.05", "1.1", "99.99", ".5", "2.",
                           "0.00001", "0.999999999", "0.1234567890123"}) {
    const auto expected = static_cast<std::uint64_t>(std::floor(std::stod(text) * 65536.0 + 0.5));
    EXPECT_EQ(q16_of(text), expected) << text;
  }
}

TEST(ParseQ16, refuses_what_is_no_fraction) {
  for (const char* text :
       {"", ".", "-1", "1e3", "1.2.3", "65536", "nan", "1,5", " 1", "99999999999999999999"}) {
    EXPECT_EQ(q16_of(text), kUntouched) << text;
  }
}

TEST(TakeWord, cuts_at_spaces) {
  std::string_view text = "  run  a b";
  EXPECT_EQ(take_word(text), "run");
  EXPECT_EQ(text, "a b");
  EXPECT_EQ(take_word(text), "a");
  EXPECT_EQ(take_word(text), "b");
  EXPECT_EQ(take_word(text), "");
  EXPECT_EQ(text, "");
}

TEST(Unescape, resolves_in_place) {
  EXPECT_EQ(unescaped("a\\nb\\\\c\\x41\\xff\\t\\r"), "a\nb\\cA\xff\t\r");
  EXPECT_EQ(unescaped("\\x00"), std::string(1, '\0'));
  EXPECT_EQ(unescaped(""), "");
}

TEST(Unescape, refuses_other_letters_and_cut_ends) {
  for (const char* text : {"\\", "a\\q", "\\x", "\\x4", "\\xg0", "\\x0g"}) unescaped(text, false);
}

constexpr std::array<OptionRule, 3> kRules = {{
    {"n=64", 7, 1, 100},
    {"temperature=0.8", 0, 0, 100U << 16, true},
    {"seed=1", 1, 0, 0, false, true},
}};

TEST(ParseOptions, takes_what_is_given_and_keeps_the_rest) {
  std::array<std::uint64_t, 3> values{};
  std::string_view text = "seed=18446744073709551615  temperature=0.5 Once n=3";
  EXPECT_TRUE(parse_options(values, kRules, text).is_none());
  EXPECT_EQ(text, "Once n=3");
  EXPECT_EQ(values, (std::array<std::uint64_t, 3>{7, 32768, UINT64_MAX}));
}

TEST(ParseOptions, two_dashes_end_them_and_one_space_belongs_to_them) {
  std::array<std::uint64_t, 3> values{};
  std::string_view text = "n=3 --  n=4 x";
  EXPECT_TRUE(parse_options(values, kRules, text).is_none());
  EXPECT_EQ(text, " n=4 x");
  EXPECT_EQ(values[0], 3U);
  text = "--";
  EXPECT_TRUE(parse_options(values, kRules, text).is_none());
  EXPECT_EQ(text, "");
  text = "a -- b";
  EXPECT_TRUE(parse_options(values, kRules, text).is_none());
  EXPECT_EQ(text, "a -- b");
}

TEST(ParseOptions, names_what_is_wrong) {
  std::array<std::uint64_t, 3> values{};
  const auto complaint = [&values](std::string_view text) {
    const Complaint found = parse_options(values, kRules, text);
    return std::string(found.word) + "|" + std::string(found.expected);
  };
  EXPECT_EQ(complaint("n=0 x"), "n=0|n=64");
  EXPECT_EQ(complaint("n=101"), "n=101|n=64");
  EXPECT_EQ(complaint("n="), "n=|n=64");
  EXPECT_EQ(complaint("temperature=100.1"), "temperature=100.1|temperature=0.8");
  EXPECT_EQ(complaint("temprature=1"),
            "temprature=1|an option that `help` names; -- ends the options");
  EXPECT_EQ(complaint("A=1"), "|");
  EXPECT_EQ(complaint("=1"), "|");
  EXPECT_EQ(complaint(""), "|");
}

}  // namespace
}  // namespace mote::firmware
