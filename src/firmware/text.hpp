// SPDX-License-Identifier: Apache-2.0
// What people and tools type: words, numbers, options, escapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mote::firmware {

/// The first `bytes` of `text`, or all of it. (`substr` needs exceptions.)
constexpr std::string_view front(std::string_view text, std::size_t bytes) {
  return {text.data(), bytes < text.size() ? bytes : text.size()};
}

/// Decimal digits only, below 2^64. False, and `value` as it was, where `text` is anything else.
bool parse_number(std::uint64_t& value, std::string_view text);

/// "0.8", "2", ".5": in Q16, rounded half up; what follows the ninth digit after the point counts
/// as zeros. Below 65536; false, and `value` as it was, where `text` is anything else.
bool parse_q16(std::uint64_t& value, std::string_view text);

/// Cuts the first word and the spaces around it off `text`.
std::string_view take_word(std::string_view& text);

/// Turns `\n`, `\r`, `\t`, `\\` and `\xHH` into the bytes that they stand for, in place, and
/// shortens `text` to them. False where a backslash stands before anything else; `text` is then as
/// long as it was, and changed in part.
bool unescape(std::span<char>& text);

/// What an option of a command may be. Fractions are in Q16.
struct OptionRule {
  const char* expected;   // an example and words, for errors: it begins with the name and a `=`
  std::uint32_t initial;  // what holds where the option is not given
  std::uint32_t low;
  std::uint32_t high;
  bool is_fraction = false;
  bool is_wide = false;  // up to 2^64 - 1, whatever `high` says
};

/// What was wrong with a command: the word, and what is expected in its place.
struct Complaint {
  std::string_view word;
  std::string_view expected;

  bool is_none() const { return expected.empty(); }
};

/// Takes options `name=value` off the front of `text` up to the first word that is none, or past
/// the word `--`. A word with lower-case letters before a `=` that is no option is an error.
///   values  (rules) gets what is given, and the rest as the rules say
Complaint parse_options(std::span<std::uint64_t> values, std::span<const OptionRule> rules,
                        std::string_view& text);

}  // namespace mote::firmware
