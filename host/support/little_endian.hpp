// SPDX-License-Identifier: Apache-2.0
// Numbers as the image stores them, whatever the byte order of the machine.
#pragma once

#include <cstdint>

namespace mote::host {

/// Writes the lowest `count` bytes of `value`, least significant first.
inline void store_bytes(std::uint8_t* out, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(value >> (8 * i));
}
inline void store_u16(std::uint8_t* out, std::uint16_t value) {
  store_bytes(out, value, 2);
}
inline void store_u32(std::uint8_t* out, std::uint32_t value) {
  store_bytes(out, value, 4);
}
inline void store_u64(std::uint8_t* out, std::uint64_t value) {
  store_bytes(out, value, 8);
}

}  // namespace mote::host
