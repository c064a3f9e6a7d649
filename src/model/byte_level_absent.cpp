// SPDX-License-Identifier: Apache-2.0
// Instead of byte_level*.cpp, where a program is to be small: byte-level tokenizers are refused.
#include "mote/tokenizer.hpp"

namespace mote {

Status Tokenizer::check_byte_level() const {
  return Status::tokenizer_not_built;
}

// A tokenizer that was refused encodes nothing.
std::size_t Tokenizer::encode_byte_level(std::span<std::uint32_t> /*tokens*/,
                                         std::span<std::uint32_t> /*scratch*/,
                                         std::string_view /*text*/, bool /*special*/) const {
  return 0;
}

}  // namespace mote
