// SPDX-License-Identifier: Apache-2.0
#include "convert/open_vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "convert/printable.hpp"
#include "gguf/gguf_vocabulary.hpp"
#include "huggingface/tokenizer_files.hpp"
#include "huggingface/tokenizer_json.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kSupported =
    "supported: SentencePiece (GGUF \"llama\", tokenizer.model), byte-level BPE (GGUF \"gpt2\"), "
    "BPE of tokenizer.json, llama2.c's tokenizer.bin";

bool begins_with(const MappedFile& file, std::string_view head) {
  return file.bytes().size() >= head.size() &&
         std::equal(head.begin(), head.end(), file.bytes().begin());
}

/// A ModelProto begins with its first piece: field 1, and in it the text, field 1 again. Where
/// llama2.c's files have the length of the longest piece, this would be above 655,000.
bool is_sentencepiece(const MappedFile& file) {
  return file.bytes().size() > 3 && file.bytes()[0] == 0x0a && file.bytes()[2] == 0x0a;
}

Vocabulary read_gguf(const MappedFile& file) {
  const GgufFile gguf(file.bytes(), file.path());
  const std::string model = gguf_tokenizer_model(gguf);
  if (model == "llama") return read_gguf_sentencepiece(gguf);
  if (model == "gpt2") return read_gguf_byte_level(gguf);
  throw Error(fmt::format("{}: the tokenizer \"{}\" is not supported; {}", file.path(),
                          printable(model), kSupported));
}

Vocabulary read_file(const std::string& path, std::uint32_t vocab_size) {
  const MappedFile file(path);
  if (begins_with(file, "GGUF")) return read_gguf(file);
  if (begins_with(file, "{")) return read_tokenizer_json(path, vocab_size);
  if (is_sentencepiece(file)) {
    return read_folder_sentencepiece({TokenizerFormat::sentencepiece, path}, vocab_size);
  }
  return read_llama2c_tokenizer(file.bytes(), vocab_size, path);
}

Vocabulary read_folder(const std::string& folder, std::uint32_t vocab_size) {
  const TokenizerFile file = find_tokenizer(folder);
  switch (file.format) {
    case TokenizerFormat::sentencepiece:
      return read_folder_sentencepiece(file, vocab_size);
    case TokenizerFormat::tokenizer_json:
      return read_tokenizer_json(file.path, vocab_size);
    case TokenizerFormat::none:
      break;
  }
  throw Error(fmt::format("{}: the folder has no tokenizer; {}", folder, kSupported));
}

}  // namespace

Vocabulary open_vocabulary(const std::string& source, const std::string& tokenizer,
                           std::uint32_t vocab_size) {
  if (!tokenizer.empty()) return read_file(tokenizer, vocab_size);
  if (std::filesystem::is_directory(source)) return read_folder(source, vocab_size);
  const MappedFile file(source);
  if (begins_with(file, "GGUF")) return read_gguf(file);
  throw Error(fmt::format("{}: the file holds no tokenizer; name one with --tokenizer", source));
}

}  // namespace mote::host
