// SPDX-License-Identifier: Apache-2.0
// From wide integers to int8 with a scale.
#pragma once

#include <algorithm>
#include <cstddef>
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

// Inline by force: where space matters each of the first two has one caller.

/// Blocks that lie side by side, each rounded as quantize_block_* rounds it.
///   out (n), in (n), scales (blocks): of `block` lanes each, the last one of what is left; units
///   (blocks), or (1) of all
template <typename Lane, typename Quantize>
[[gnu::always_inline]] inline void quantize_each_block(std::int8_t* out, Scale16* scales,
                                                       std::span<const Lane> in, std::size_t block,
                                                       const Quantize& quantize) {
  while (!in.empty()) {
    const auto lanes = in.first(std::min(block, in.size()));
    *scales++ = quantize(out, lanes);
    out += lanes.size();
    in = in.subspan(lanes.size());
  }
}

[[gnu::always_inline]] inline void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales,
                                                          std::span<const std::int64_t> in,
                                                          std::size_t block, Multiplier unit) {
  quantize_each_block(out, scales, in, block, [unit](std::int8_t* to, auto lanes) {
    return ref::quantize_block_s64_s8(to, lanes, unit);
  });
}

inline void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales,
                                   std::span<const std::int64_t> in, std::size_t block,
                                   std::span<const Multiplier> units) {
  if (units.size() == 1) return quantize_blocks_s64_s8(out, scales, in, block, units[0]);
  const Multiplier* unit = units.data();
  quantize_each_block(out, scales, in, block, [&unit](std::int8_t* to, auto lanes) {
    return ref::quantize_block_s64_s8(to, lanes, *unit++);
  });
}

inline void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales,
                                   std::span<const std::int32_t> in, std::size_t block,
                                   Multiplier unit) {
  quantize_each_block(out, scales, in, block, [unit](std::int8_t* to, auto lanes) {
    return ref::quantize_block_s32_s8(to, lanes, unit);
  });
}

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
/// Whether blocks side by side may take less time at once than one after the other.
inline constexpr bool kRoundsTogether = true;
void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, std::span<const Multiplier> units);
void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, Multiplier unit);
void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> in,
                            std::size_t block, Multiplier unit);

inline Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in,
                                     Multiplier unit) {
  Scale16 scale;
  quantize_blocks_s64_s8(out, &scale, in, in.size(), unit);
  return scale;
}
inline Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in,
                                     Multiplier unit) {
  Scale16 scale;
  quantize_blocks_s32_s8(out, &scale, in, in.size(), unit);
  return scale;
}
#else
inline constexpr bool kRoundsTogether = false;
using ref::quantize_block_s32_s8;
using ref::quantize_block_s64_s8;
using ref::quantize_blocks_s32_s8;
using ref::quantize_blocks_s64_s8;
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
