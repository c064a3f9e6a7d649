// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, in place in the image; byte-pair encoding by merge rank, over
// characters (SentencePiece) or over bytes (GPT-2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "mote/status.hpp"

namespace mote {

inline constexpr std::uint32_t kNoToken = 0xffffffffU;
inline constexpr std::uint32_t kTokenizerHeaderBytes = 48;

/// What a token is; one byte a token in the image. `kTokenEnd` may be added to any kind.
/// Tokens of kind `user_defined` are found in text before anything is merged.
enum class TokenKind : std::uint8_t {
  normal = 0,
  byte = 1,
  control = 2,
  unknown = 3,
  user_defined = 4,
};
inline constexpr std::uint8_t kTokenKindMask = 0x0f;
inline constexpr std::uint8_t kTokenEnd = 0x80;  // generation stops here

/// Bits of the header's flags.
inline constexpr std::uint32_t kTokenizerAddsSpacePrefix = 1U << 0;
inline constexpr std::uint32_t kTokenizerByteFallback = 1U << 1;
inline constexpr std::uint32_t kTokenizerByteLevel = 1U << 2;
inline constexpr std::uint32_t kTokenizerIgnoresMerges = 1U << 3;
inline constexpr std::uint32_t kTokenizerHasUserDefined = 1U << 4;
inline constexpr std::uint32_t kTokenizerRemovesExtraSpaces = 1U << 5;

/// How a byte-level tokenizer cuts text into the pieces that it encodes one by one (SPEC.md,
/// "Pre-tokenisers"). The numbers stand in images.
enum class PreTokenizer : std::uint32_t {
  none = 0,  // not byte-level
  gpt2 = 1,
  llama3 = 2,
  qwen2 = 3,
  smollm = 4,
  deepseek_llm = 5,
  deepseek_coder = 6,
  falcon = 7,
  common = 8,  // GGUF's "default"
};
inline constexpr std::uint32_t kMaxPreTokenizer = 8;

/// A pair of tokens that merge, as it lies in the image.
struct TokenMerge {
  std::uint32_t left;
  std::uint32_t right;
  std::uint32_t rank;  // lower merges first
};

struct EncodeOptions {
  bool bos = true;   // put the beginning token first
  bool eos = false;  // put the end token last
};

/// A view of an image's tokenizer section.
class Tokenizer {
 public:
  /// Validates the section completely: every offset, every id of the index. The time grows with the
  /// vocabulary. `image_misaligned` where the section does not lie at a multiple of 4, else
  /// `image_bad_tokenizer` on any fault, and `tokenizer_not_built` for a byte-level tokenizer in a
  /// program without that code; the tokenizer is then as it was before. The section must outlive
  /// it.
  Status open(std::span<const std::uint8_t> section);

  std::uint32_t vocab_size() const { return vocab_size_; }
  std::uint32_t bos() const { return bos_; }  // kNoToken where there is none
  std::uint32_t eos() const { return eos_; }  // kNoToken where there is none
  std::uint32_t unknown() const { return unknown_; }
  std::uint32_t max_piece_bytes() const { return max_piece_bytes_; }
  bool is_byte_level() const { return (flags_ & kTokenizerByteLevel) != 0; }
  PreTokenizer pre_tokenizer() const { return static_cast<PreTokenizer>(pre_tokenizer_); }

  /// The bytes that `token` stands for (one byte for a byte token); empty past the vocabulary.
  std::string_view piece(std::uint32_t token) const;
  /// `unknown` past the vocabulary.
  TokenKind kind(std::uint32_t token) const;
  /// True for tokens that end a text; false past the vocabulary.
  bool is_end(std::uint32_t token) const;

  /// Tokens that `encode` may need for `text_bytes` bytes: one a byte, the space prefix, two ends.
  static constexpr std::size_t max_tokens(std::size_t text_bytes) { return text_bytes + 3; }

  /// Encodes `text`, of any bytes.
  ///
  /// SentencePiece-style, by the rules of llama2.c and SentencePiece: space prefix; the longest
  /// user-defined token that follows, else a token for a UTF-8 character or, where the vocabulary
  /// lacks it, for each of its bytes; then the best-ranked adjacent pair is merged, leftmost first,
  /// until none is left. Only normal tokens are merged. A byte whose token would lie past the
  /// vocabulary becomes `unknown`. An empty text has no space prefix; NUL is a byte like any other.
  /// The time grows with the square of the text's length, and with user-defined tokens also with
  /// the longest piece.
  ///
  /// Byte-level, by GPT-2's: first user-defined tokens are taken out, the leftmost first and of
  /// those the longest; what lies between is cut into pieces by the pre-tokeniser; in each piece,
  /// from one token a byte, the adjacent pair of the lowest rank is merged, the leftmost of equals,
  /// until no pair is in the table. A byte without a token becomes `unknown`. The time for n bytes
  /// grows with n log^2 n, and with n times the number of special tokens, whatever the bytes are.
  ///
  ///   tokens  (>= max_tokens(text.size())) output; `count` of them are written
  ///   scratch (>= max_tokens(text.size())) what each adjacent pair merges to
  /// `output_too_small` where either is shorter than that; `count` is then 0.
  Status encode(std::span<std::uint32_t> tokens, std::size_t& count,
                std::span<std::uint32_t> scratch, std::string_view text,
                EncodeOptions options = {}) const;

  /// As `encode`; control tokens that the text spells become those tokens too. Byte-level
  /// tokenizers only, where such spellings are part of a text; SentencePiece's control symbols are
  /// not, and this is `encode`.
  Status encode_marked(std::span<std::uint32_t> tokens, std::size_t& count,
                       std::span<std::uint32_t> scratch, std::string_view text,
                       EncodeOptions options = {}) const;

  /// The text of `token` as it follows `previous` (kNoToken: nothing stands before it). At the
  /// beginning of a text, after nothing or after `bos`, one leading space is dropped where the
  /// tokenizer adds one. Control tokens have no text.
  std::string_view decode(std::uint32_t previous, std::uint32_t token) const;

  /// The token of kind `normal` whose bytes are exactly `bytes`; the lowest id where several have
  /// them; kNoToken where none has.
  std::uint32_t find(std::string_view bytes) const;

 private:
  bool read_header(std::span<const std::uint8_t> section);
  bool header_is_valid() const;
  bool offsets_are_valid() const;
  bool attributes_are_valid() const;
  bool bytes_are_valid() const;
  bool index_is_valid() const;
  bool is_byte_run(std::uint32_t token) const;
  bool is_indexed(std::uint32_t token) const;

  std::uint32_t find_joined(std::string_view left, std::string_view right) const;
  std::uint32_t find_pair(std::uint32_t left, std::uint32_t right) const;
  std::uint32_t byte_token(std::uint8_t byte) const;
  std::string_view normalize(char* out, std::string_view text) const;
  std::uint32_t find_first(std::string_view text, std::size_t character) const;
  std::size_t split_characters(std::span<std::uint32_t> tokens, std::string_view text) const;
  std::size_t best_pair(std::span<const std::uint32_t> pairs) const;
  std::size_t merge_pairs(std::span<std::uint32_t> tokens, std::span<std::uint32_t> pairs) const;

  // Of byte-level tokenizers only.
  Status check_byte_level() const;
  bool merges_are_valid() const;
  bool specials_are_valid() const;
  std::size_t encode_byte_level(std::span<std::uint32_t> tokens, std::span<std::uint32_t> scratch,
                                std::string_view text, bool special) const;
  std::size_t encode_pieces(std::span<std::uint32_t> tokens, std::span<std::uint32_t> scratch,
                            std::string_view text) const;
  std::size_t encode_piece(std::span<std::uint32_t> tokens, std::span<std::uint32_t> scratch,
                           std::string_view piece) const;
  std::uint32_t find_special(std::string_view text, bool special) const;
  std::uint32_t merge_rank(std::uint32_t left, std::uint32_t right) const;

  std::uint32_t vocab_size_ = 0;
  std::uint32_t text_bytes_ = 0;
  std::uint32_t max_piece_bytes_ = 0;
  std::uint32_t bos_ = kNoToken;
  std::uint32_t eos_ = kNoToken;
  std::uint32_t unknown_ = 0;
  std::uint32_t flags_ = 0;
  std::uint32_t sorted_count_ = 0;
  std::uint32_t first_byte_token_ = kNoToken;  // of byte 0; those of bytes 1 to 255 follow
  std::uint32_t pre_tokenizer_ = 0;
  std::uint32_t merge_count_ = 0;
  std::uint32_t special_count_ = 0;
  const std::uint32_t* offsets_ = nullptr;    // (vocab_size + 1) into text_
  const std::int32_t* ranks_ = nullptr;       // (vocab_size) higher merges first; not byte-level
  const std::uint32_t* sorted_ = nullptr;     // (sorted_count) ids by bytes, then by id
  const TokenMerge* merges_ = nullptr;        // (merge_count) by left, then by right
  const std::uint32_t* specials_ = nullptr;   // (special_count) ids by bytes, then by id
  const std::uint8_t* attributes_ = nullptr;  // (vocab_size) TokenKind and kTokenEnd
  const char* text_ = nullptr;
};

/// Joins pieces of bytes into whole UTF-8 characters, for output token by token. No byte is lost,
/// changed or moved: what can never become a character passes through as it is.
class Utf8Stream {
 public:
  /// Bytes that may be held back: a character lacks at least one of its four.
  static constexpr std::size_t kMaxHeldBytes = 3;

  /// Takes more bytes. Writes those held back and the new ones to `out`, but for a last character
  /// that may still become whole, and returns what it wrote.
  ///   out  (>= kMaxHeldBytes + bytes.size()) must not overlap `bytes`
  std::string_view push(std::string_view bytes, std::span<char> out);
  /// Writes what is still held back at the end of a text (an incomplete character).
  ///   out  (>= kMaxHeldBytes)
  std::string_view flush(std::span<char> out);

 private:
  std::array<char, kMaxHeldBytes> held_{};
  std::size_t held_count_ = 0;
};

}  // namespace mote
