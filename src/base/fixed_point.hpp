// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic with one rounding rule: half up, floor(x + 1/2).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "base/assert.hpp"
#include "base/platform.hpp"
#include "mote/scale.hpp"

namespace mote {

/// value / divisor, rounded down. Not inline, so that compilers which know both to be small do not
/// bring in another division for it.
[[gnu::noinline]] constexpr std::uint64_t divide(std::uint64_t value, std::uint64_t divisor) {
  return value / divisor;
}

/// value / 2^shift, rounded half up. |value| < 2^62, 0 <= shift <= 62.
constexpr std::int64_t shift_round(std::int64_t value, int shift) {
  return shift == 0 ? value : (value + (std::int64_t{1} << (shift - 1))) >> shift;
}

constexpr std::int32_t saturate_s32(std::int64_t value) {
  const auto low = static_cast<std::int32_t>(value);
  if (low == value) return low;
  return value < 0 ? std::numeric_limits<std::int32_t>::min()
                   : std::numeric_limits<std::int32_t>::max();
}

/// value * 2^-shift, rounded half up and saturated, for every shift. |value| < 2^62.
constexpr std::int32_t shift_saturate(std::int64_t value, int shift) {
  if (shift > 62) return 0;
  if (shift >= 0) return saturate_s32(shift_round(value, shift));
  const std::int64_t limit = std::int64_t{1} << 31;
  const int up = shift < -31 ? 31 : -shift;
  return saturate_s32(std::clamp<std::int64_t>(value, -limit, limit) * (std::int64_t{1} << up));
}

/// round(value * mantissa / 2^shift), half up and saturated; exact for every value and every shift,
/// although the product has 96 bits.
constexpr std::int32_t multiply_shift(std::int64_t value, std::uint32_t mantissa, int shift) {
  const std::uint64_t low = std::uint64_t{static_cast<std::uint32_t>(value)} * mantissa;
  const std::int64_t high =
      (value >> 32) * std::int64_t{mantissa} + static_cast<std::int64_t>(low >> 32);
  // value * mantissa = high * 2^32 + a rest below 2^32, which cannot change what is rounded at a
  // bit above it. Halving before the addition keeps |high| + 1/2 inside 64 bits.
  if (shift >= 33) {
    const std::int64_t twice = high >> std::min<int>(shift - 33, 63);
    return saturate_s32((twice >> 1) + (twice & 1));
  }
  // A product of 2^63 or more saturates at any shift up to 32; one below fits 64 bits.
  if (high != static_cast<std::int32_t>(high)) return saturate_s32(high);
  const std::int64_t product =
      high * (std::int64_t{1} << 32) + static_cast<std::int64_t>(low & 0xffffffffU);
  if (shift <= 0) return shift_saturate(product, shift);
  const std::int64_t twice = product >> (shift - 1);
  return saturate_s32((twice >> 1) + (twice & 1));
}

/// Significant bits of the mantissas that `normalized` returns.
inline constexpr int kMultiplierBits = 20;

/// value * 2^exponent with a mantissa of at most 20 bits; the bits beyond are dropped.
constexpr Multiplier normalized(std::uint64_t value, int exponent) {
  const int excess = significant_bits(value) - kMultiplierBits;
  if (excess <= 0) return {static_cast<std::uint32_t>(value), exponent};
  return {static_cast<std::uint32_t>(value >> excess), exponent + excess};
}

/// 1.0 as a multiplier.
inline constexpr Multiplier kUnitMultiplier = {1U << (kMultiplierBits - 1), -(kMultiplierBits - 1)};

/// floor(sqrt(value)), bit by bit (Woo, "Square root by abacus algorithm", 1985).
constexpr std::uint32_t integer_sqrt_by_bits(std::uint64_t value) {
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 62; bit != 0; bit >>= 2) {
    if (value >= root + bit) {
      value -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return static_cast<std::uint32_t>(root);
}

/// The same by three steps of Newton's method, where divisions of 64 bits are cheap.
constexpr std::uint32_t integer_sqrt_by_divisions(std::uint64_t value) {
  if (value == 0) return 0;
  const int lift = std::countl_zero(value) / 2 * 2;
  const std::uint64_t high = value << lift;  // 2^62 or more
  // The chord of the root between 2^62 and 2^64 is at most 6 % too low, each step then too high by
  // half the square of the error before it, the last by less than one.
  std::uint64_t root = high / 3 / (std::uint64_t{1} << 31) + (std::uint64_t{2} << 31) / 3;
  for (int step = 0; step < 3; ++step) root = (root + high / root) / 2;
  if (root > 0xffffffffU || root * root > high) --root;
  return static_cast<std::uint32_t>(root >> (lift / 2));
}

/// floor(sqrt(value)).
constexpr std::uint32_t integer_sqrt(std::uint64_t value) {
  if constexpr (kHasWideRegisters) return integer_sqrt_by_divisions(value);
  return integer_sqrt_by_bits(value);
}

}  // namespace mote
