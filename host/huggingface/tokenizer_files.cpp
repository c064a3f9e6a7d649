// SPDX-License-Identifier: Apache-2.0
#include "huggingface/tokenizer_files.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "convert/printable.hpp"
#include "huggingface/json_reader.hpp"
#include "huggingface/sentencepiece_model.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

/// SentencePiece's begin with a piece: field 1 of bytes.
bool is_sentencepiece(const std::string& path) {
  return MappedFile(path).bytes()[0] == 0x0a;
}

void fill_up(Vocabulary& vocabulary, std::uint32_t vocab_size) {
  while (vocabulary.entries.size() < vocab_size) {
    VocabularyEntry entry;
    entry.bytes = fmt::format("<unused{}>", vocabulary.entries.size());
    entry.kind = TokenKind::control;
    vocabulary.entries.push_back(std::move(entry));
  }
}

/// {"<|im_start|>": 32000, ...}: control tokens behind those of the model.
void add_tokens(Vocabulary& vocabulary, std::size_t first, const std::string& path) {
  const MappedFile file(path);
  const nlohmann::json json = parse_json_object(file.bytes(), path);
  for (const auto& [text, id] : json.items()) {
    const auto token = to_u64(id);
    if (!token || *token >= vocabulary.entries.size()) {
      throw Error(fmt::format("{}: {} must be a token below {}", path, printable(text),
                              vocabulary.entries.size()));
    }
    if (*token < first) continue;
    VocabularyEntry& entry = vocabulary.entries[static_cast<std::size_t>(*token)];
    entry.bytes = text;
    entry.ends_text = text == "<|im_end|>" || text == "<|end|>" || text == "<|eot_id|>";
  }
}

}  // namespace

TokenizerFile find_tokenizer(const std::string& folder) {
  const std::filesystem::path path(folder);
  const std::string model = (path / "tokenizer.model").string();
  const std::string json = (path / "tokenizer.json").string();
  if (std::filesystem::exists(model) && is_sentencepiece(model)) {
    return {TokenizerFormat::sentencepiece, model};
  }
  if (std::filesystem::exists(json)) return {TokenizerFormat::tokenizer_json, json};
  return {};
}

Vocabulary read_folder_sentencepiece(const TokenizerFile& file, std::uint32_t vocab_size) {
  const MappedFile model(file.path);
  Vocabulary vocabulary = read_sentencepiece_model(model.bytes(), file.path);
  const std::size_t first = vocabulary.entries.size();
  if (first > vocab_size) {
    throw Error(
        fmt::format("{}: {} tokens, the model's vocab_size is {}", file.path, first, vocab_size));
  }
  fill_up(vocabulary, vocab_size);
  const auto added = std::filesystem::path(file.path).replace_filename("added_tokens.json");
  if (std::filesystem::exists(added)) add_tokens(vocabulary, first, added.string());
  return vocabulary;
}

}  // namespace mote::host
