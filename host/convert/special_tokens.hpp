// SPDX-License-Identifier: Apache-2.0
// Tokens with a meaning of their own, as files name them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "convert/vocabulary.hpp"

namespace mote::host {

/// Ids of tokens; kNoToken where there is none.
struct SpecialTokens {
  std::uint32_t bos = kNoToken;
  std::uint32_t eos = kNoToken;
  std::uint32_t unknown = kNoToken;
  /// Tokens that also end a text: of a turn, of a message.
  std::vector<std::uint32_t> ends = {};
};

/// True for what chat models put at the end of a turn, such as "<|im_end|>".
bool ends_a_turn(std::string_view text);

/// Sets beginning, end and unknown token of `vocabulary` and marks the tokens that end a text: both
/// the beginning and the end, and `ends`. Without an unknown token it is the first of that kind,
/// else token 0. Throws `Error` that begins with `where` for a token out of range.
void set_special_tokens(Vocabulary& vocabulary, const SpecialTokens& special,
                        std::string_view where);

}  // namespace mote::host
