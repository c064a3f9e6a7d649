// SPDX-License-Identifier: Apache-2.0
#include "kernels/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "kernels/quantize_steps.hpp"

namespace mote {
namespace {

template <typename Lane>
std::uint64_t largest_of(std::span<const Lane> in) {
  if constexpr (kFavorsSize) return largest_by_both_ends(in);
  return largest_magnitude(in);
}

/// Where space matters, all counts go through that of 64 bits.
int leading_zeros(std::uint32_t value) {
  return kFavorsSize ? 32 - significant_bits(value) : std::countl_zero(value);
}

/// encode_scale_up of what has more than 12 bits, in fewer steps where the result is usual.
Scale16 encode_scale(std::uint32_t value, int exponent) {
  const int shift = 20 - leading_zeros(value);
  const int scale_exponent = exponent + shift;
  if (kFavorsSize || scale_exponent < 0 || scale_exponent > 29) {
    return encode_scale_up(value, exponent);
  }
  // The implied bit counts as one more of the exponent, and so does a carry out of the mantissa.
  const std::uint32_t mantissa = (value + (1U << shift) - 1) >> shift;
  return {
      static_cast<std::uint16_t>((static_cast<std::uint32_t>(scale_exponent) << 11) + mantissa)};
}

/// The smallest scale not below value * 2^exponent / 127, to 24 bits. // value 2^48 to 2^50
Scale16 scale_for_largest(std::uint64_t value, int exponent) {
  // 31 bits, so that the division is one of 32 bits.
  const auto high = static_cast<std::uint32_t>(value >> 32);
  const auto low = static_cast<std::uint32_t>(value);
  const int shift = 33 - leading_zeros(high);
  const std::uint32_t top =
      (high << (32 - shift) | low >> shift) + (low << (32 - shift) != 0 ? 1 : 0);
  return encode_scale((top + 126) / 127, exponent + shift);
}

/// Rounded half up and clipped to +-127, for all ratios and shifts.
std::int8_t round_lane(std::int32_t lane, const BlockRounding& rounding) {
  const std::int64_t product = std::int64_t{lane} * rounding.ratio;  // |product| <= 2^61
  return static_cast<std::int8_t>(
      std::clamp<std::int32_t>(shift_saturate(product, rounding.shift), -127, 127));
}

template <typename Lane>
Scale16 quantize_block(std::int8_t* out, std::span<const Lane> in, Multiplier unit) {
  const std::uint64_t largest = largest_of(in);
  if (largest == 0) {
    std::fill_n(out, in.size(), std::int8_t{0});
    return {};
  }
  const BlockRounding r = round_block(largest, unit);
  const int lift = leading_zeros(r.ratio) - 1;
  const int shift = r.shift + lift - 33;
  if (!kFavorsSize && r.scale.bits != kScale16Max && lift >= 0 && 0 <= shift && shift < 32) {
    round_lanes(out, in, r.drop, static_cast<std::int32_t>(r.ratio << lift), shift);
    return r.scale;
  }
  for (const Lane lane : in) {
    *out++ = round_lane(r.drop == 0 ? static_cast<std::int32_t>(lane) : narrow(lane, r.drop), r);
  }
  return r.scale;
}

}  // namespace

BlockRounding round_block(std::uint64_t largest, Multiplier unit) {
  if (largest == 0) return {};
  // Lanes are first brought to 31 bits, so that one product of 64 bits suffices; the largest
  // has 30.
  const int raise = 30 - significant_bits(largest);
  const int drop = std::max<int>(0, -raise);
  const auto rounded =
      static_cast<std::uint32_t>(shift_round(static_cast<std::int64_t>(largest), drop));
  const std::uint32_t top = raise > 0 ? rounded << raise : rounded;
  const int lift = std::max<int>(kMultiplierBits - significant_bits(unit.mantissa), 0);
  const std::uint32_t mantissa = unit.mantissa << lift;
  const int exponent = unit.exponent - lift + drop + kScaleFractionBits;
  const Scale16 scale =
      scale_for_largest(std::uint64_t{top} * mantissa, exponent - std::max<int>(0, raise));
  // lane / S = lane * (mantissa / S.mantissa) * 2^(exponent - S.exponent).
  return {scale, (mantissa << 11) / scale.mantissa(), drop, 11 + scale.exponent() - exponent};
}

Scale16 ref::quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in,
                                   Multiplier unit) {
  return quantize_block(out, in, unit);
}

Scale16 ref::quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in,
                                   Multiplier unit) {
  return quantize_block(out, in, unit);
}

}  // namespace mote
