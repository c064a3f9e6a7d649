// SPDX-License-Identifier: Apache-2.0
// How a block is rounded, for the kernels of x86-64 that end in it.
#pragma once

#include <cstdint>

#include "kernels/quantize.hpp"

namespace mote::x86 {

// Inline by force: no copy of these may be kept for other machines.

/// round_block, where its result is one of the usual: a scale of 12 bits that is not the largest,
/// no lane that needs clipping. // 1 <= largest < 2^62
[[gnu::always_inline]] inline bool find_rounding(BlockRounding& out, std::uint64_t largest,
                                                 Multiplier unit) {
  const int bits = 64 - __builtin_clzll(largest);
  const int drop = bits > 30 ? bits - 30 : 0;
  const std::uint64_t top = (largest + ((std::uint64_t{1} << drop) >> 1)) >> drop;
  const int lift = __builtin_clz(unit.mantissa) - 12;
  if (lift < 0) return false;
  const std::uint32_t mantissa = unit.mantissa << lift;
  const int exponent = unit.exponent - lift + drop + kScaleFractionBits;
  // 31 bits, rounded up.
  const std::uint64_t product = top * mantissa;
  const int raise = __builtin_clzll(product);
  const std::uint64_t high = product << raise;
  const std::uint64_t thirty_one = (high >> 33) + ((high << 31) != 0 ? 1 : 0);
  const auto step = static_cast<std::uint32_t>((thirty_one + 126) / 127);
  // 24 or 25 bits; of these 12, rounded up.
  const int shift = 12 + static_cast<int>(step >> 24);
  std::uint32_t scale = (step + ((1U << shift) - 1U)) >> shift;
  int scale_exponent = exponent + 33 - raise + shift;
  if (scale == 4096) {
    scale = 2048;
    ++scale_exponent;
  }
  if (scale_exponent < 0 || scale_exponent >= 30) return false;
  out.scale.bits = static_cast<std::uint16_t>(
      (static_cast<std::uint32_t>(scale_exponent + 1) << 11) | (scale & 0x7ffU));
  out.ratio = (mantissa << 11) / scale;
  out.drop = drop;
  out.shift = 11 + scale_exponent - exponent;
  return out.shift >= 1 && out.shift <= 62;
}

}  // namespace mote::x86
