// SPDX-License-Identifier: Apache-2.0
#include "kernels/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "base/fixed_point.hpp"

namespace mote {
namespace {

std::uint64_t largest_magnitude(std::span<const std::int64_t> in) {
  std::int64_t low = 0;
  std::int64_t high = 0;
  for (const std::int64_t lane : in) {
    low = std::min(low, lane);
    high = std::max(high, lane);
  }
  return static_cast<std::uint64_t>(std::max(-low, high));
}

/// The smallest scale not below value * 2^exponent / 127, to 24 bits. // value 1 to 2^51
Scale16 scale_for_largest(std::uint64_t value, int exponent) {
  // 31 bits, so that the division is one of 32 bits.
  const int shift = significant_bits(value) - 31;
  std::uint32_t top = 0;
  if (shift > 0) {
    top = static_cast<std::uint32_t>((value + ((std::uint64_t{1} << shift) - 1)) >> shift);
  } else {
    top = static_cast<std::uint32_t>(value << -shift);
  }
  return encode_scale_up((top + 126) / 127, exponent + shift);
}

/// product * 2^-shift, rounded half up and clipped to +-127. |product| < 2^62
std::int8_t round_lane(std::int64_t product, int shift) {
  // Nearly every scale: one that was not saturated, for a unit that is not tiny.
  if (0 < shift && shift <= 62) {
    return static_cast<std::int8_t>(
        std::clamp<std::int64_t>(shift_round(product, shift), -127, 127));
  }
  return static_cast<std::int8_t>(
      std::clamp<std::int32_t>(shift_saturate(product, shift), -127, 127));
}

}  // namespace

Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit) {
  const std::uint64_t largest = largest_magnitude(in);
  if (largest == 0) {
    std::fill_n(out, in.size(), std::int8_t{0});
    return {};
  }
  // Lanes are first brought to 31 bits, so that one product of 64 bits suffices.
  const int drop = std::max<int>(0, significant_bits(largest) - 30);
  const auto top =
      static_cast<std::uint64_t>(shift_round(static_cast<std::int64_t>(largest), drop));
  const int lift = kMultiplierBits - significant_bits(unit.mantissa);
  const std::uint32_t mantissa = lift > 0 ? unit.mantissa << lift : unit.mantissa;
  const int exponent = unit.exponent - std::max<int>(lift, 0) + drop + kScaleFractionBits;

  const Scale16 scale = scale_for_largest(top * mantissa, exponent);
  // lane / S = lane * (mantissa / S.mantissa) * 2^(exponent - S.exponent).
  const std::uint32_t ratio = (mantissa << 11) / scale.mantissa();
  const int shift = 11 + scale.exponent() - exponent;
  for (std::size_t i = 0; i < in.size(); ++i) {
    out[i] = round_lane(shift_round(in[i], drop) * std::int64_t{ratio}, shift);
  }
  return scale;
}

}  // namespace mote
