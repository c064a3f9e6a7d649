// SPDX-License-Identifier: Apache-2.0
// What pre-tokenisers ask of a character: \p{L}, \p{N}, \p{P} and \s of regular expressions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mote {

/// The first letter of the general category; everything else is `other`, white space too.
enum class CharacterClass : std::uint8_t { other = 0, letter = 1, number = 2, punctuation = 3 };

/// Of Unicode 15.0.0; `other` past its last character. The time is bounded by a constant.
CharacterClass unicode_class(std::uint32_t code);

/// The property White_Space.
bool is_white_space(std::uint32_t code);

/// Stands for a byte that belongs to no character of valid UTF-8; of class `other`.
inline constexpr std::uint32_t kNoCharacter = 0xffffffffU;

struct Character {
  std::uint32_t code = kNoCharacter;
  std::uint32_t bytes = 0;  // 1 to 4; 0 at the end of a text
};

/// The character at the front of `text`; one byte and kNoCharacter where that is not valid UTF-8
/// (overlong forms and surrogates included).
Character first_character(std::string_view text);

}  // namespace mote
