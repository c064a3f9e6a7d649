// SPDX-License-Identifier: Apache-2.0
// Cuts text into the pieces that byte-level BPE encodes one by one, by the rules of SPEC.md,
// "Pre-tokenisers". No regular expressions: each rule is a function.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "mote/tokenizer.hpp"

namespace mote {

/// The bytes of the next piece of a text that is not empty: 1 to its size.
using CutPiece = std::size_t (*)(std::string_view text);

/// Gives the pieces of a text from its beginning; together they are the text. Each stage cuts the
/// pieces of the stage before. The time grows with the length of the text.
class PieceSplitter {
 public:
  /// `kind` is one of SPEC.md's; `text` outlives this.
  PieceSplitter(PreTokenizer kind, std::string_view text);
  /// The next piece; empty at the end.
  std::string_view next();

  static constexpr std::size_t kMaxStages = 6;

 private:
  std::span<const CutPiece> stages_;
  std::array<std::string_view, kMaxStages> rest_{};  // what each stage has still to cut
};

}  // namespace mote
