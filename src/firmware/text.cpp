// SPDX-License-Identifier: Apache-2.0
#include "firmware/text.hpp"

#include <algorithm>

namespace mote::firmware {
namespace {

constexpr std::size_t kFractionDigits = 9;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The value of a hexadecimal digit; 16 for any other character.
constexpr unsigned hex_value(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

/// The byte that one letter after a backslash stands for; 0 for a letter that stands for none.
constexpr char escaped(char letter) {
  switch (letter) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '\\':
      return '\\';
    default:
      return 0;
  }
}

/// Letters and underscores before a `=`; empty where `word` does not look like an option.
std::string_view option_name(std::string_view word) {
  std::size_t length = 0;
  while (length < word.size() &&
         (word[length] == '_' || (word[length] >= 'a' && word[length] <= 'z')))
    ++length;
  if (length == word.size() || word[length] != '=') return {};
  return front(word, length);
}

bool is_named(const OptionRule& rule, std::string_view name) {
  const std::string_view expected = rule.expected;
  return front(expected, name.size()) == name && expected[name.size()] == '=';
}

}  // namespace

bool parse_number(std::uint64_t& value, std::string_view text) {
  std::uint64_t result = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (result > (UINT64_MAX - digit) / 10) return false;
    result = result * 10 + digit;
  }
  if (text.empty()) return false;
  value = result;
  return true;
}

bool parse_q16(std::uint64_t& value, std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string_view digits = text;
  digits.remove_prefix(std::min(point + 1, text.size()));
  std::uint64_t whole = 0;
  if (point != 0 && !parse_number(whole, front(text, point))) return false;
  if ((point == 0 && digits.empty()) || whole > 65535) return false;
  std::uint64_t fraction = 0;
  std::uint64_t unit = 1;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (!is_digit(digits[i])) return false;
    if (i >= kFractionDigits) continue;
    fraction = fraction * 10 + static_cast<std::uint64_t>(digits[i] - '0');
    unit *= 10;
  }
  value = (whole << 16) + ((fraction << 16) + unit / 2) / unit;
  return true;
}

std::string_view take_word(std::string_view& text) {
  const auto skip_spaces = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  };
  skip_spaces();
  const std::string_view word = front(text, text.find(' '));
  text.remove_prefix(word.size());
  skip_spaces();
  return word;
}

bool unescape(std::span<char>& text) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\\') {
      const std::size_t left = text.size() - i - 1;
      if (left == 0) return false;
      if (text[i + 1] == 'x') {
        if (left < 3) return false;
        const unsigned byte = hex_value(text[i + 2]) << 4 | hex_value(text[i + 3]);
        if (hex_value(text[i + 2]) > 15 || hex_value(text[i + 3]) > 15) return false;
        c = static_cast<char>(byte);
        i += 3;
      } else {
        c = escaped(text[i + 1]);
        if (c == 0) return false;
        ++i;
      }
    }
    text[out] = c;
    ++out;
  }
  text = text.first(out);
  return true;
}

Complaint parse_options(std::span<std::uint64_t> values, std::span<const OptionRule> rules,
                        std::string_view& text) {
  for (std::size_t i = 0; i < rules.size(); ++i) values[i] = rules[i].initial;
  for (;;) {
    std::string_view rest = text;
    const std::string_view word = take_word(rest);
    if (word == "--") {
      // The text may begin with spaces of its own.
      text.remove_prefix(text.find('-') + 2);
      text.remove_prefix(text.empty() ? 0 : 1);
      return {};
    }
    const std::string_view name = option_name(word);
    if (name.empty()) return {};
    std::size_t i = 0;
    while (i < rules.size() && !is_named(rules[i], name)) ++i;
    if (i == rules.size()) return {word, "an option that `help` names; -- ends the options"};
    const OptionRule& rule = rules[i];
    std::string_view digits = word;
    digits.remove_prefix(name.size() + 1);
    std::uint64_t value = 0;
    const bool is_number =
        rule.is_fraction ? parse_q16(value, digits) : parse_number(value, digits);
    const bool is_within = value >= rule.low && (value <= rule.high || rule.is_wide);
    if (!is_number || !is_within) return {word, rule.expected};
    values[i] = value;
    text = rest;
  }
}

}  // namespace mote::firmware
