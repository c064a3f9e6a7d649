// SPDX-License-Identifier: Apache-2.0
#include "model/pre_tokenizer.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "model/cased_letter_table.hpp"
#include "model/unicode_class.hpp"

namespace mote {
namespace {

using Matches = bool (*)(std::uint32_t code);

std::string_view skip(std::string_view text, std::size_t bytes) {
  text.remove_prefix(bytes);
  return text;
}

bool is_letter(std::uint32_t code) {
  return unicode_class(code) == CharacterClass::letter;
}
bool is_number(std::uint32_t code) {
  return unicode_class(code) == CharacterClass::number;
}
bool is_punctuation(std::uint32_t code) {
  return unicode_class(code) == CharacterClass::punctuation;
}
bool is_line_end(std::uint32_t code) {
  return code == '\r' || code == '\n';
}
bool is_digit(std::uint32_t code) {
  return code >= '0' && code <= '9';
}

/// [^\s\p{L}\p{N}]
bool is_mark(std::uint32_t code) {
  const CharacterClass kind = unicode_class(code);
  return kind != CharacterClass::letter && kind != CharacterClass::number && !is_white_space(code);
}

/// [\p{P}$+<=>^~|]
bool is_default_sign(std::uint32_t code) {
  constexpr std::string_view kSigns = "$+<=>^~|";
  return is_punctuation(code) || std::any_of(kSigns.begin(), kSigns.end(), [code](char sign) {
           return code == static_cast<std::uint8_t>(sign);
         });
}
/// [\p{P}$+<=>^~|`]
bool is_falcon_sign(std::uint32_t code) {
  return code == '`' || is_default_sign(code);
}

bool is_cased_letter(std::uint32_t code) {
  const auto* const range =
      std::lower_bound(kCasedLetters.begin(), kCasedLetters.end(), code,
                       [](const CharacterRange& r, std::uint32_t c) { return r.last < c; });
  return range != kCasedLetters.end() && range->first <= code;
}

/// [!-/:-~！-／：-～‘-‟　-。]
bool is_deepseek_sign(std::uint32_t code) {
  constexpr CharacterRange kSigns[] = {{'!', '/'},       {':', '~'},       {0x2018, 0x201f},
                                       {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
  return std::any_of(std::begin(kSigns), std::end(kSigns),
                     [code](const CharacterRange& r) { return code >= r.first && code <= r.last; });
}

/// [一-龥ࠀ-一가-퟿]
bool is_deepseek_asian(std::uint32_t code) {
  return (code >= 0x800 && code <= 0x9fa5) || (code >= 0xac00 && code <= 0xd7ff);
}

/// Bytes of the characters at the front that match, at most `most` characters.
std::size_t run_bytes(std::string_view text, Matches matches, std::size_t most = SIZE_MAX) {
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < most; ++count) {
    const Character next = first_character(skip(text, bytes));
    if (next.bytes == 0 || !matches(next.code)) break;
    bytes += next.bytes;
  }
  return bytes;
}

/// A letter of the English alphabet, without its case where `any_case`; the long s (U+017F) is an s
/// without its case.
std::size_t letter_bytes(std::string_view text, char letter, bool any_case) {
  if (text.empty()) return 0;
  if (text[0] == letter || (any_case && text[0] == letter - 'a' + 'A')) return 1;
  const bool is_long_s =
      any_case && letter == 's' && text.size() > 1 && text[0] == '\xc5' && text[1] == '\xbf';
  return is_long_s ? 2 : 0;
}

/// 's|'t|'re|'ve|'m|'ll|'d
std::size_t contraction_bytes(std::string_view text, bool any_case) {
  static constexpr std::string_view kEndings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
  if (text.empty() || text[0] != '\'') return 0;
  for (const std::string_view ending : kEndings) {
    std::size_t bytes = 1;
    for (const char letter : ending) {
      const std::size_t found = letter_bytes(skip(text, bytes), letter, any_case);
      bytes = found == 0 ? 0 : bytes + found;
      if (found == 0) break;
    }
    if (bytes > 0) return bytes;
  }
  return 0;
}

/// \s+(?!\S)|\s+ of a text that begins with white space: all but the last of several characters
/// that something follows.
std::size_t space_bytes(std::string_view text) {
  std::size_t bytes = 0;
  std::size_t before_last = 0;
  while (bytes < text.size()) {
    const Character next = first_character(skip(text, bytes));
    if (!is_white_space(next.code)) return before_last > 0 ? before_last : bytes;
    before_last = bytes;
    bytes += next.bytes;
  }
  return bytes;
}

/// A run of characters, with the space before it that the text may begin with.
std::size_t spaced_run_bytes(std::string_view text, Matches matches) {
  const std::size_t space = !text.empty() && text[0] == ' ' ? 1 : 0;
  const std::size_t run = run_bytes(skip(text, space), matches);
  return run > 0 ? space + run : 0;
}

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t cut_gpt2(std::string_view text) {
  const std::size_t contraction = contraction_bytes(text, false);
  if (contraction > 0) return contraction;
  for (const Matches matches : {is_letter, is_number, is_mark}) {
    const std::size_t bytes = spaced_run_bytes(text, matches);
    if (bytes > 0) return bytes;
  }
  return space_bytes(text);
}

/// [^\r\n\p{L}\p{N}]?\p{L}+
std::size_t word_bytes(std::string_view text) {
  const Character front = first_character(text);
  const bool may_lead =
      !is_letter(front.code) && !is_number(front.code) && !is_line_end(front.code);
  const std::size_t lead = may_lead ? front.bytes : 0;
  const std::size_t run = run_bytes(skip(text, lead), is_letter);
  return run > 0 ? lead + run : 0;
}

/// \s*[\r\n]+: white space to the end of its last line.
std::size_t line_end_bytes(std::string_view text) {
  std::size_t bytes = 0;
  std::size_t end = 0;
  while (bytes < text.size()) {
    const Character next = first_character(skip(text, bytes));
    if (!is_white_space(next.code)) break;
    bytes += next.bytes;
    if (is_line_end(next.code)) end = bytes;
  }
  return end;
}

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,most_digits}
/// | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <std::size_t most_digits>
std::size_t cut_llama3(std::string_view text) {
  std::size_t bytes = contraction_bytes(text, true);
  if (bytes > 0) return bytes;
  bytes = word_bytes(text);
  if (bytes > 0) return bytes;
  bytes = run_bytes(text, is_number, most_digits);
  if (bytes > 0) return bytes;
  bytes = spaced_run_bytes(text, is_mark);
  if (bytes > 0) return bytes + run_bytes(skip(text, bytes), is_line_end);
  bytes = line_end_bytes(text);
  return bytes > 0 ? bytes : space_bytes(text);
}

/// Every match of a pattern is a piece, and so is what lies between two.
///   match  the bytes of the match at the front of a text, 0 where there is none
template <std::size_t (*match)(std::string_view)>
std::size_t cut_matches(std::string_view text) {
  std::size_t bytes = match(text);
  if (bytes > 0) return bytes;
  do {
    bytes += first_character(skip(text, bytes)).bytes;
  } while (bytes < text.size() && match(skip(text, bytes)) == 0);
  return bytes;
}

/// [...], [...]{1,most} or, without `most`, [...]+
template <Matches matches, std::size_t most = SIZE_MAX>
std::size_t match_run(std::string_view text) {
  return run_bytes(text, matches, most);
}

/// \s?[...]+: the white space may itself be one of the characters.
template <Matches matches>
std::size_t match_spaced(std::string_view text) {
  const Character front = first_character(text);
  const std::size_t space = is_white_space(front.code) ? front.bytes : 0;
  const std::size_t run = run_bytes(skip(text, space), matches);
  return run > 0 ? space + run : run_bytes(text, matches);
}

/// [0-9][0-9][0-9]
std::size_t match_three_digits(std::string_view text) {
  const std::size_t bytes = run_bytes(text, is_digit, 3);
  return bytes == 3 ? bytes : 0;
}

/// \s+$ is a piece, and so is what stands before it.
std::size_t cut_last_space(std::string_view text) {
  std::size_t bytes = 0;
  std::size_t space_begin = 0;
  while (bytes < text.size()) {
    const Character next = first_character(skip(text, bytes));
    bytes += next.bytes;
    if (!is_white_space(next.code)) space_begin = bytes;
  }
  return space_begin > 0 ? space_begin : text.size();
}

constexpr CutPiece kGpt2[] = {cut_gpt2};
constexpr CutPiece kLlama3[] = {cut_llama3<3>};
constexpr CutPiece kQwen2[] = {cut_llama3<1>};
constexpr CutPiece kSmollm[] = {cut_matches<match_run<is_number, 1>>, cut_gpt2};
constexpr CutPiece kDeepseekLlm[] = {
    cut_matches<match_run<is_line_end, 1>>,      cut_matches<match_spaced<is_cased_letter>>,
    cut_matches<match_spaced<is_deepseek_sign>>, cut_last_space,
    cut_matches<match_run<is_deepseek_asian>>,   cut_matches<match_run<is_number>>};
constexpr CutPiece kDeepseekCoder[] = {
    cut_matches<match_run<is_line_end, 1>>, cut_matches<match_spaced<is_letter>>,
    cut_matches<match_spaced<is_punctuation>>, cut_matches<match_run<is_deepseek_asian>>,
    cut_matches<match_run<is_number, 1>>};
constexpr CutPiece kFalcon[] = {cut_matches<match_run<is_falcon_sign>>, cut_gpt2,
                                cut_matches<match_three_digits>};
constexpr CutPiece kCommon[] = {cut_matches<match_run<is_default_sign>>, cut_gpt2,
                                cut_matches<match_run<is_number>>, cut_matches<match_three_digits>};

std::span<const CutPiece> stages_of(PreTokenizer kind) {
  switch (kind) {
    case PreTokenizer::none:
      break;
    case PreTokenizer::gpt2:
      return kGpt2;
    case PreTokenizer::llama3:
      return kLlama3;
    case PreTokenizer::qwen2:
      return kQwen2;
    case PreTokenizer::smollm:
      return kSmollm;
    case PreTokenizer::deepseek_llm:
      return kDeepseekLlm;
    case PreTokenizer::deepseek_coder:
      return kDeepseekCoder;
    case PreTokenizer::falcon:
      return kFalcon;
    case PreTokenizer::common:
      return kCommon;
  }
  return {};
}

}  // namespace

PieceSplitter::PieceSplitter(PreTokenizer kind, std::string_view text) : stages_(stages_of(kind)) {
  MOTE_ASSERT(!stages_.empty() && stages_.size() <= kMaxStages);
  rest_[0] = text;
}

std::string_view PieceSplitter::next() {
  std::size_t stage = stages_.size() - 1;
  while (stage > 0 && rest_[stage].empty()) --stage;
  while (!rest_[stage].empty()) {
    const std::size_t bytes = stages_[stage](rest_[stage]);
    const std::string_view piece(rest_[stage].data(), bytes);
    rest_[stage].remove_prefix(bytes);
    if (stage + 1 == stages_.size()) return piece;
    ++stage;
    rest_[stage] = piece;
  }
  return {};
}

}  // namespace mote
