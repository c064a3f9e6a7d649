// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes are, the reader of tokenizer.json refuses them with `Error` or delivers a
// vocabulary that the device opens, and that gives back every text. The first byte is the size of
// the vocabulary beyond 256.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "huggingface/tokenizer_json.hpp"
#include "support/error.hpp"

namespace {

void encode_some_text(const mote::Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::uint32_t> tokens(mote::Tokenizer::max_tokens(text.size()));
  std::vector<std::uint32_t> scratch(tokens.size());
  std::size_t count = 0;
  const auto options = mote::EncodeOptions{.bos = false};
  if (tokenizer.encode(tokens, count, scratch, text, options) != mote::Status::ok) {
    __builtin_trap();
  }
  std::string decoded;
  for (std::size_t i = 0; i < count; ++i) decoded += tokenizer.piece(tokens[i]);
  // Bytes that no text in UTF-8 has may lack a token.
  if (tokenizer.is_byte_level() && decoded != text) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    const mote::host::Vocabulary vocabulary =
        mote::host::parse_tokenizer_json({data + 1, size - 1}, 256U + data[0], {}, "fuzz");
    const std::vector<std::uint8_t> section = mote::host::build_tokenizer_section(vocabulary);
    mote::Tokenizer tokenizer;
    if (tokenizer.open(section) != mote::Status::ok) __builtin_trap();
    encode_some_text(tokenizer, "Once \xc3\xa9 12\n'll  ab");
  } catch (const mote::host::Error&) {
    return 0;  // refused
  }
  return 0;
}
