// SPDX-License-Identifier: Apache-2.0
// llama2.c's tokenizer.bin: i32 length of the longest piece, then for each token its score (f32),
// its length (i32) and its bytes.
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "convert/vocabulary.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

static_assert(std::endian::native == std::endian::little);

// The format fixes these ids; the file spells the pieces "<unk>", "\n<s>\n" and "\n</s>\n", with
// line feeds that the tokenizer which it was made from has not.
constexpr std::uint32_t kUnknown = 0;
constexpr std::uint32_t kBos = 1;
constexpr std::uint32_t kEos = 2;
constexpr std::uint32_t kFirstByte = 3;
constexpr std::uint32_t kByteTokens = 256;
constexpr std::size_t kLeastTokenBytes = 8;  // the score and the length

// Reads the file from its beginning; every step is checked against its end.
class Reader {
 public:
  Reader(std::span<const std::uint8_t> bytes, const std::string& path)
      : rest_(bytes), path_(path) {}

  template <typename Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof(Number)), sizeof(Number));
    return value;
  }
  std::string text(std::size_t bytes) {
    return {reinterpret_cast<const char*>(take(bytes)), bytes};
  }
  std::size_t left() const { return rest_.size(); }

  void require(bool condition, const std::string& expected) const {
    if (!condition) throw Error(path_ + ": not a llama2.c tokenizer: " + expected);
  }

 private:
  const std::uint8_t* take(std::size_t bytes) {
    require(bytes <= rest_.size(), "the file ends inside a token");
    const std::uint8_t* taken = rest_.data();
    rest_ = rest_.subspan(bytes);
    return taken;
  }

  std::span<const std::uint8_t> rest_;
  const std::string& path_;
};

VocabularyEntry read_entry(Reader& reader, std::int32_t longest, std::uint32_t token) {
  const std::string name = "token " + std::to_string(token);
  VocabularyEntry entry;
  entry.score = reader.number<float>();
  reader.require(!std::isnan(entry.score), name + " has no number as its score");
  const auto length = reader.number<std::int32_t>();
  reader.require(
      length >= 0 && length <= longest,
      name + " has " + std::to_string(length) + " bytes, of at most " + std::to_string(longest));
  entry.bytes = reader.text(static_cast<std::size_t>(length));
  return entry;
}

std::string byte_spelling(std::uint32_t byte) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "<0x%02X>", byte);
  return text.data();
}

bool has_byte_tokens(const std::vector<VocabularyEntry>& entries) {
  if (entries.size() < kFirstByte + kByteTokens) return false;
  for (std::uint32_t byte = 0; byte < kByteTokens; ++byte) {
    if (entries[kFirstByte + byte].bytes != byte_spelling(byte)) return false;
  }
  return true;
}

// A vocabulary without all 256 (of characters, say) has none: what looks like one is text. Byte
// fallback still means those ids to llama2.c, whatever they hold.
void mark_byte_tokens(std::vector<VocabularyEntry>& entries) {
  if (!has_byte_tokens(entries)) return;
  for (std::uint32_t byte = 0; byte < kByteTokens; ++byte) {
    entries[kFirstByte + byte].bytes = static_cast<char>(byte);
    entries[kFirstByte + byte].kind = TokenKind::byte;
  }
}

void strip_line_feeds(std::string& piece) {
  if (piece.size() >= 2 && piece.front() == '\n' && piece.back() == '\n') {
    piece = piece.substr(1, piece.size() - 2);
  }
}

// llama2.c's models put the beginning token between stories, so that it ends a text, too.
void mark_special_tokens(Vocabulary& vocabulary) {
  vocabulary.unknown = kUnknown;
  vocabulary.first_byte_token = vocabulary.entries.size() > kFirstByte ? kFirstByte : kNoToken;
  vocabulary.bos = kBos;
  vocabulary.eos = kEos;
  vocabulary.adds_space_prefix = true;
  vocabulary.entries[kUnknown].kind = TokenKind::unknown;
  for (const std::uint32_t token : {kBos, kEos}) {
    strip_line_feeds(vocabulary.entries[token].bytes);
    vocabulary.entries[token].kind = TokenKind::control;
    vocabulary.entries[token].ends_text = true;
  }
}

}  // namespace

Vocabulary read_llama2c_tokenizer(std::span<const std::uint8_t> bytes, std::uint32_t vocab_size,
                                  const std::string& path) {
  Reader reader(bytes, path);
  reader.require(vocab_size > kEos, "a vocabulary of " + std::to_string(vocab_size) +
                                        " tokens lacks those of the beginning and the end");
  const auto longest = reader.number<std::int32_t>();
  reader.require(longest > 0, "the longest piece has " + std::to_string(longest) + " bytes");
  reader.require(vocab_size <= reader.left() / kLeastTokenBytes,
                 "the file is too short for " + std::to_string(vocab_size) + " tokens");
  Vocabulary vocabulary;
  vocabulary.entries.reserve(vocab_size);
  for (std::uint32_t token = 0; token < vocab_size; ++token) {
    vocabulary.entries.push_back(read_entry(reader, longest, token));
  }
  reader.require(reader.left() == 0, std::to_string(reader.left()) + " bytes are left after " +
                                         std::to_string(vocab_size) + " tokens");
  mark_byte_tokens(vocabulary.entries);
  mark_special_tokens(vocabulary);
  return vocabulary;
}

}  // namespace mote::host
