// SPDX-License-Identifier: Apache-2.0
// The text that calibration reads, as tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mote/tokenizer.hpp"

namespace mote::host {

/// Fewer tokens say too little of what a model meets.
inline constexpr std::size_t kLeastCalibrationTokens = 256;

/// Runs of tokens, each read from a fresh context that it fits.
struct CalibrationText {
  std::vector<std::vector<std::uint32_t>> passages;
  std::uint64_t tokens = 0;  // of all passages
  std::size_t longest = 0;   // passage, in tokens
};

/// Parts `text` at lines `<|endoftext|>`, each story beginning with the model's beginning token;
/// what is longer than `context_length` goes on in another passage. Throws `Error` that begins with
/// `where` for a text without at least kLeastCalibrationTokens tokens.
CalibrationText read_calibration_text(std::string_view text, const Tokenizer& tokenizer,
                                      std::uint32_t context_length, const std::string& where);

/// Passages of `text` spread evenly over it, all of them or so many that they have at least
/// `tokens` tokens.
CalibrationText sample_text(const CalibrationText& text, std::uint64_t tokens);

}  // namespace mote::host
