// SPDX-License-Identifier: Apache-2.0
// From wide integers to int8 with a scale.
#pragma once

#include <cstdint>
#include <span>

#include "mote/scale.hpp"

namespace mote {

namespace ref {

/// Rounds lanes of real value `in[i] * unit.mantissa * 2^unit.exponent` to int8 with one scale:
/// the smallest scale S that is not below max |in| / 127 (to 24 bits), and out[i] = in[i] / S
/// rounded half up, within 1/2 + 2^-10 steps and within -127 to 127. All zero where `in` is. The
/// scale saturates at 2^14 (a lane of 2^21); lanes are then clipped, and those below 2^-30 of the
/// largest may be lost.
///   out (n), in (n) with |in[i]| < 2^62, unit.mantissa 1 to 2^20
/// Returns S in units of 2^-28.
Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit);

/// The same for lanes of 32 bits, in less time where registers have so many.
Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit);

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit);
Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit);
#else
using ref::quantize_block_s32_s8;
using ref::quantize_block_s64_s8;
#endif

/// What all lanes of a block have in common: out = lane / 2^drop * ratio / 2^shift, each division
/// rounded half up, the last one clipped.
struct BlockRounding {
  Scale16 scale;
  std::uint32_t ratio = 0;  // at most 2^31
  int drop = 0;             // brings the largest lane to 30 bits
  int shift = 1;
};

/// How a block is rounded whose largest magnitude is `largest`; to zero where that is 0.
BlockRounding round_block(std::uint64_t largest, Multiplier unit);

}  // namespace mote
