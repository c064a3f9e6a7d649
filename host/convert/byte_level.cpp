// SPDX-License-Identifier: Apache-2.0
#include "convert/byte_level.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kBytes = 256;
constexpr std::uint32_t kFirstStandIn = 256;  // U+0100

bool stands_for_itself(std::uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/// The character of each byte.
std::array<std::uint32_t, kBytes> list_characters() {
  std::array<std::uint32_t, kBytes> characters{};
  std::uint32_t stand_in = kFirstStandIn;
  for (std::uint32_t byte = 0; byte < kBytes; ++byte) {
    characters[byte] = stands_for_itself(byte) ? byte : stand_in++;
  }
  return characters;
}

const std::array<std::uint32_t, kBytes>& characters() {
  static const auto kCharacters = list_characters();
  return kCharacters;
}

/// All characters are below U+0800: one or two bytes.
std::uint32_t take_character(std::string_view& text) {
  const auto lead = static_cast<std::uint8_t>(text[0]);
  text.remove_prefix(1);
  if (lead < 0x80) return lead;
  if (lead < 0xc2 || lead > 0xdf || text.empty()) return UINT32_MAX;
  const auto next = static_cast<std::uint8_t>(text[0]);
  text.remove_prefix(1);
  return (next & 0xc0U) == 0x80U ? (lead & 0x1fU) << 6U | (next & 0x3fU) : UINT32_MAX;
}

/// Bytes that no text in UTF-8 has.
bool is_never_in_utf8(std::uint32_t byte) {
  return byte == 0xc0 || byte == 0xc1 || byte >= 0xf5;
}

class Builder {
 public:
  Builder(const ByteLevelModel& model, std::string_view where) : model_(model), where_(where) {}

  Vocabulary build() {
    check_range(where_, "the number of tokens", static_cast<std::int64_t>(model_.pieces.size()), 1,
                kMaxVocabulary);
    for (const Piece& piece : model_.pieces) add(piece);
    for (const MergeText& merge : model_.merges) add(merge);
    vocabulary_.pre_tokenizer = model_.pre_tokenizer;
    vocabulary_.ignores_merges = model_.ignores_merges;
    vocabulary_.adds_space_prefix = false;
    set_special_tokens(vocabulary_, model_.special, where_);
    choose_unknown();
    check_bytes();
    return std::move(vocabulary_);
  }

 private:
  void add(const Piece& piece) {
    const auto token = static_cast<std::uint32_t>(vocabulary_.entries.size());
    VocabularyEntry entry;
    entry.kind = token_kind(piece.kind);
    if (entry.kind == TokenKind::normal) {
      entry.bytes = unmap(token, piece.text);
      tokens_.try_emplace(piece.text, token);
    } else if (piece.kind != PieceKind::unused) {
      entry.bytes = piece.text;
      others_.try_emplace(piece.text, token);
    }
    entry.ends_text = entry.kind != TokenKind::normal && ends_a_turn(piece.text);
    vocabulary_.entries.push_back(std::move(entry));
  }

  static TokenKind token_kind(PieceKind kind) {
    switch (kind) {
      case PieceKind::normal:
      case PieceKind::byte:  // SentencePiece's; here a text like any other
        return TokenKind::normal;
      case PieceKind::unknown:
        return TokenKind::unknown;
      case PieceKind::user_defined:
        return TokenKind::user_defined;
      case PieceKind::control:
      case PieceKind::unused:
        break;
    }
    return TokenKind::control;
  }

  std::string unmap(std::uint32_t token, std::string_view text) const {
    auto bytes = unmap_bytes(text);
    if (!bytes) {
      throw Error(fmt::format("{}: token {}, \"{}\", has a character that stands for no byte",
                              where_, token, printable(text)));
    }
    return *std::move(bytes);
  }

  /// Merges with special tokens never happen: those are taken out of a text before.
  void add(const MergeText& merge) {
    const std::string joined = fmt::format("{}{}", merge.left, merge.right);
    const auto find = [&](std::string_view text) {
      const auto found = tokens_.find(text);
      if (found != tokens_.end()) return found->second;
      if (others_.contains(text)) return kNoToken;
      throw Error(fmt::format("{}: the merge \"{} {}\" needs the token \"{}\", which there is not",
                              where_, printable(merge.left), printable(merge.right),
                              printable(text)));
    };
    const std::uint32_t left = find(merge.left);
    const std::uint32_t right = find(merge.right);
    const std::uint32_t both = find(joined);
    if (left == kNoToken || right == kNoToken || both == kNoToken) return;
    vocabulary_.merges.push_back({left, right});
  }

  /// What a byte without a token becomes: rather the end of a text than some letter.
  void choose_unknown() {
    const TokenKind kind = vocabulary_.entries[vocabulary_.unknown].kind;
    const bool is_asked_for = model_.special.unknown != kNoToken || kind == TokenKind::unknown;
    if (!is_asked_for && vocabulary_.eos != kNoToken) vocabulary_.unknown = vocabulary_.eos;
  }

  void check_bytes() const {
    std::array<bool, kBytes> has{};
    for (const VocabularyEntry& entry : vocabulary_.entries) {
      if (entry.kind != TokenKind::normal || entry.bytes.size() != 1) continue;
      has[static_cast<std::uint8_t>(entry.bytes[0])] = true;
    }
    const bool unknown_merges = vocabulary_.entries[vocabulary_.unknown].kind == TokenKind::normal;
    for (std::uint32_t byte = 0; byte < kBytes; ++byte) {
      if (has[byte] || (is_never_in_utf8(byte) && !unknown_merges)) continue;
      throw Error(fmt::format("{}: no token is the byte 0x{:02x} alone", where_, byte));
    }
  }

  const ByteLevelModel& model_;
  std::string_view where_;
  Vocabulary vocabulary_;
  std::unordered_map<std::string_view, std::uint32_t> tokens_;  // normal ones
  std::unordered_map<std::string_view, std::uint32_t> others_;
};

struct PreTokenizerName {
  std::string_view name;
  PreTokenizer kind;
};

// The first of a kind is its name; the others follow the same rule.
constexpr PreTokenizerName kPreTokenizers[] = {
    {"gpt-2", PreTokenizer::gpt2},
    {"llama-bpe", PreTokenizer::llama3},
    {"qwen2", PreTokenizer::qwen2},
    {"smollm", PreTokenizer::smollm},
    {"deepseek-llm", PreTokenizer::deepseek_llm},
    {"deepseek-coder", PreTokenizer::deepseek_coder},
    {"falcon", PreTokenizer::falcon},
    {"default", PreTokenizer::common},
    {"llama3", PreTokenizer::llama3},
    {"llama-v3", PreTokenizer::llama3},
    {"falcon3", PreTokenizer::llama3},
    {"pixtral", PreTokenizer::llama3},
    {"dbrx", PreTokenizer::llama3},
    {"smaug-bpe", PreTokenizer::llama3},
    {"deepseek-r1-qwen", PreTokenizer::qwen2},
    {"stablelm2", PreTokenizer::qwen2},
    {"megrez", PreTokenizer::qwen2},
    {"hunyuan", PreTokenizer::qwen2},
    {"phi-2", PreTokenizer::gpt2},
    {"mpt", PreTokenizer::gpt2},
    {"olmo", PreTokenizer::gpt2},
    {"jais", PreTokenizer::gpt2},
    {"gigachat", PreTokenizer::gpt2},
    {"exaone4", PreTokenizer::gpt2},
    {"trillion", PreTokenizer::gpt2},
    {"starcoder", PreTokenizer::smollm},
    {"refact", PreTokenizer::smollm},
    {"command-r", PreTokenizer::smollm},
    {"codeshell", PreTokenizer::smollm},
    {"exaone", PreTokenizer::smollm},
    {"minerva-7b", PreTokenizer::smollm},
};

}  // namespace

std::optional<std::string> unmap_bytes(std::string_view text) {
  static const auto kByteOf = [] {
    std::unordered_map<std::uint32_t, char> byte_of;
    for (std::uint32_t byte = 0; byte < kBytes; ++byte) {
      byte_of[characters()[byte]] = static_cast<char>(byte);
    }
    return byte_of;
  }();
  std::string bytes;
  while (!text.empty()) {
    const auto found = kByteOf.find(take_character(text));
    if (found == kByteOf.end()) return {};
    bytes += found->second;
  }
  return bytes;
}

std::string map_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const std::uint32_t code = characters()[static_cast<std::uint8_t>(byte)];
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else {
      text += static_cast<char>(0xc0U | code >> 6U);
      text += static_cast<char>(0x80U | (code & 0x3fU));
    }
  }
  return text;
}

Vocabulary make_byte_level_vocabulary(const ByteLevelModel& model, std::string_view where) {
  return Builder(model, where).build();
}

PreTokenizer gguf_pre_tokenizer(std::string_view name, std::string_view where) {
  const auto* const found = std::ranges::find(kPreTokenizers, name, &PreTokenizerName::name);
  if (found != std::end(kPreTokenizers)) return found->kind;
  std::string names;
  for (const PreTokenizerName& known : kPreTokenizers) names += fmt::format(" {}", known.name);
  throw Error(fmt::format("{}: the pre-tokeniser \"{}\" is not supported; supported:{}", where,
                          printable(name), names));
}

std::string_view pre_tokenizer_name(PreTokenizer kind) {
  const auto* const found = std::ranges::find(kPreTokenizers, kind, &PreTokenizerName::kind);
  return found != std::end(kPreTokenizers) ? found->name : "";
}

}  // namespace mote::host
