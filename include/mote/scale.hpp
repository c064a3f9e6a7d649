// SPDX-License-Identifier: Apache-2.0
// The 16-bit scale that stands beside every block of int8 values, in memory and on the wire, and
// the wider multiplier that results of several scales have.
#pragma once

#include <bit>
#include <cstdint>

namespace mote {

/// Bits that `value` needs; 0 for 0. (Some standard libraries give std::bit_width the type of its
/// argument.)
constexpr int significant_bits(std::uint64_t value) {
  return 64 - std::countl_zero(value);
}

/// An unsigned number with 12 significant bits: 5 exponent bits above 11 fraction bits.
/// With e = bits >> 11 and f = bits & 2047 the value is f when e is 0, else (2048 + f) * 2^(e - 1).
/// Every bit pattern is valid. Integers up to 4096 are exact; the largest value is 4095 * 2^30.
/// What one unit is worth depends on the place: 2^-28 for activations (`kScaleFractionBits`), a
/// power of two that the tensor names for weight rows.
struct Scale16 {
  std::uint16_t bits = 0;

  constexpr std::uint32_t mantissa() const {
    const std::uint32_t fraction = bits & 0x7ffU;
    return bits < 0x800U ? fraction : fraction | 0x800U;
  }
  constexpr int exponent() const { return bits < 0x800U ? 0 : (bits >> 11) - 1; }
  constexpr std::uint64_t value() const { return std::uint64_t{mantissa()} << exponent(); }

  friend constexpr bool operator==(Scale16, Scale16) = default;
};

inline constexpr std::uint16_t kScale16Max = 0xffffU;

/// Activation scales are multiples of 2^-28: a lane's real value is int8 * scale.value() * 2^-28.
inline constexpr int kScaleFractionBits = 28;

/// The smallest scale that is not below value * 2^exponent; saturates at the largest scale.
constexpr Scale16 encode_scale_up(std::uint64_t value, int exponent) {
  if (value == 0) return Scale16{0};
  const int width = significant_bits(value);
  // The mantissa gets 12 bits, or fewer where the exponent would fall below zero.
  int shift = width - 12;
  if (exponent + shift < 0) shift = -exponent;
  if (shift > 63) return Scale16{1};
  if (exponent + shift > 30) return Scale16{kScale16Max};
  std::uint64_t mantissa = value;
  if (shift > 0) {
    mantissa = (value >> shift) + ((value & ((std::uint64_t{1} << shift) - 1)) != 0 ? 1 : 0);
  } else {
    mantissa = value << -shift;
  }
  int scale_exponent = exponent + shift;
  if (mantissa == 4096) {
    mantissa = 2048;
    ++scale_exponent;
  }
  if (scale_exponent > 30) return Scale16{kScale16Max};
  if (mantissa < 2048) return Scale16{static_cast<std::uint16_t>(mantissa)};
  return Scale16{static_cast<std::uint16_t>((static_cast<std::uint32_t>(scale_exponent + 1) << 11) |
                                            (mantissa & 0x7ffU))};
}

/// Real value = mantissa * 2^exponent.
struct Multiplier {
  std::uint32_t mantissa = 0;
  std::int32_t exponent = 0;
};

}  // namespace mote
