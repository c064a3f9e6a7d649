// SPDX-License-Identifier: Apache-2.0
// Powers of two as vectors of bytes look them up.
#pragma once

#include <cstdint>

namespace mote::x86 {

/// The bytes of kPowersOfTwo and of the difference of each from the next: byte b of number i is
/// powers[b][i]. // i = 0 to 255
struct Exp2Bytes {
  alignas(64) std::uint8_t powers[4][256];
  alignas(64) std::uint8_t steps[3][256];
};
extern const Exp2Bytes kExp2Bytes;

}  // namespace mote::x86
