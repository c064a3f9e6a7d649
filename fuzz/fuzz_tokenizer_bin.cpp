// SPDX-License-Identifier: Apache-2.0
// A llama2.c tokenizer of any bytes is refused with `Error`, or becomes a section that the device
// opens and that encodes and decodes text.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "convert/vocabulary.hpp"
#include "mote/tokenizer.hpp"
#include "support/error.hpp"

namespace {

void encode_some_text(const mote::Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::uint32_t> tokens(mote::Tokenizer::max_tokens(text.size()));
  std::vector<std::uint32_t> scratch(tokens.size());
  std::size_t count = 0;
  if (tokenizer.encode(tokens, count, scratch, text) != mote::Status::ok) __builtin_trap();
  std::uint32_t previous = tokenizer.bos();
  for (std::size_t i = 0; i < count; ++i) {
    if (tokens[i] >= tokenizer.vocab_size()) __builtin_trap();
    static_cast<void>(tokenizer.decode(previous, tokens[i]));
    previous = tokens[i];
  }
}

}  // namespace

/// The first two bytes are the vocabulary's size less one, as the model would tell it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint32_t vocab_size = 1U + data[0] + 256U * data[1];
  const std::span<const std::uint8_t> file(data + 2, size - 2);
  try {
    const mote::host::Vocabulary vocabulary =
        mote::host::read_llama2c_tokenizer(file, vocab_size, "fuzz");
    const std::vector<std::uint8_t> section = mote::host::build_tokenizer_section(vocabulary);
    mote::Tokenizer tokenizer;
    if (tokenizer.open(section) != mote::Status::ok) __builtin_trap();
    encode_some_text(tokenizer, "abc abba \xc3\xa9\n\xff");
  } catch (const mote::host::Error&) {
    return 0;  // refused
  }
  return 0;
}
