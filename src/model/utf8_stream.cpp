// SPDX-License-Identifier: Apache-2.0
// Whole UTF-8 characters out of pieces of bytes.
#include <algorithm>

#include "base/assert.hpp"
#include "mote/tokenizer.hpp"

namespace mote {
namespace {

// Bytes of the character that `lead` begins; 0 for a byte that begins none.
std::size_t character_bytes(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

// Unicode 15, table 3-7: after some leads the second byte has a narrower range, which excludes
// overlong forms, surrogates and what lies past U+10FFFF.
bool is_second_byte(std::uint8_t lead, std::uint8_t byte) {
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xbf;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  return byte >= low && byte <= high;
}

// How many bytes at the end of `text` begin a character that more bytes may complete.
std::size_t incomplete_bytes(std::string_view text) {
  const std::size_t limit = std::min<std::size_t>(text.size(), Utf8Stream::kMaxHeldBytes);
  const auto byte_from_end = [text](std::size_t distance) {
    return static_cast<std::uint8_t>(text[text.size() - distance]);
  };
  for (std::size_t bytes = 1; bytes <= limit; ++bytes) {
    const std::uint8_t lead = byte_from_end(bytes);
    if ((lead & 0xc0) == 0x80) continue;
    if (character_bytes(lead) <= bytes) return 0;
    return bytes == 1 || is_second_byte(lead, byte_from_end(bytes - 1)) ? bytes : 0;
  }
  return 0;
}

}  // namespace

std::string_view Utf8Stream::push(std::string_view bytes, std::span<char> out) {
  const std::size_t total = held_count_ + bytes.size();
  MOTE_ASSERT(total <= out.size());
  std::copy_n(held_.begin(), held_count_, out.begin());
  std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(held_count_));
  held_count_ = incomplete_bytes({out.data(), total});
  const std::string_view whole(out.data(), total - held_count_);
  std::copy_n(whole.end(), held_count_, held_.begin());
  return whole;
}

std::string_view Utf8Stream::flush(std::span<char> out) {
  MOTE_ASSERT(held_count_ <= out.size());
  std::copy_n(held_.begin(), held_count_, out.begin());
  const std::string_view rest(out.data(), held_count_);
  held_count_ = 0;
  return rest;
}

}  // namespace mote
