// SPDX-License-Identifier: Apache-2.0
// A tokenizer as the readers of foreign files deliver it, and its form in the image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mote/tokenizer.hpp"

namespace mote::host {

struct VocabularyEntry {
  std::string bytes;  // as text; a byte token holds its one byte
  float score = 0;    // priority of the merge that makes it, higher first
  TokenKind kind = TokenKind::normal;
  bool ends_text = false;
};

/// Two tokens that merge to a token of kind `normal` with the bytes of both.
struct VocabularyMerge {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
};

struct Vocabulary {
  std::vector<VocabularyEntry> entries;  // by token id
  std::uint32_t bos = kNoToken;
  std::uint32_t eos = kNoToken;
  std::uint32_t unknown = 0;
  /// The token of byte 0, those of bytes 1 to 255 follow: what a character without a piece becomes.
  /// kNoToken: it becomes `unknown`, as bytes do whose token would lie past the vocabulary.
  std::uint32_t first_byte_token = kNoToken;
  bool adds_space_prefix = true;
  bool removes_extra_spaces = false;  // at both ends of a text, and of several in a row all but one
  /// Other than `none`: byte-level BPE. Then scores, first_byte_token and adds_space_prefix say
  /// nothing.
  PreTokenizer pre_tokenizer = PreTokenizer::none;
  bool ignores_merges = false;          // a piece that is a token becomes that token
  std::vector<VocabularyMerge> merges;  // byte-level: the first merge before all others
};

/// Reads llama2.c's tokenizer.bin, which does not say how many tokens it holds: `vocab_size` comes
/// from the model. Throws `Error` that names `path` where the bytes are damaged or of another size.
Vocabulary read_llama2c_tokenizer(std::span<const std::uint8_t> bytes, std::uint32_t vocab_size,
                                  const std::string& path);

/// The bytes of the image's tokenizer section (SPEC.md, "Tokenizer").
std::vector<std::uint8_t> build_tokenizer_section(const Vocabulary& vocabulary);

}  // namespace mote::host
