// SPDX-License-Identifier: Apache-2.0
#include "kernels/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <type_traits>

#include "base/fixed_point.hpp"
#include "base/platform.hpp"

namespace mote {
namespace {

template <typename Lane>
std::uint64_t largest_by_both_ends(std::span<const Lane> in) {
  using Magnitude = std::make_unsigned_t<Lane>;
  Lane low = 0;
  Lane high = 0;
  for (const Lane lane : in) {
    low = std::min(low, lane);
    high = std::max(high, lane);
  }
  return std::max<Magnitude>(Magnitude{0} - static_cast<Magnitude>(low),
                             static_cast<Magnitude>(high));
}

/// As largest_by_both_ends, by one comparison a lane: -m comes right before m.
std::uint64_t largest_in_order(std::span<const std::int32_t> in) {
  std::uint32_t last = 0;
  for (const std::int32_t lane : in) {
    const std::uint32_t order =
        (static_cast<std::uint32_t>(lane) << 1) ^ static_cast<std::uint32_t>(lane >> 31);
    last = std::max(last, order);
  }
  return (last >> 1) + (last & 1);
}

std::uint64_t largest_magnitude(std::span<const std::int32_t> in) {
  if constexpr (kFavorsSize || kHasWideRegisters) return largest_by_both_ends(in);
  return largest_in_order(in);
}

std::uint64_t largest_magnitude(std::span<const std::int64_t> in) {
  return largest_by_both_ends(in);
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

/// lane * 2^-drop, rounded half up, which fits 32 bits. // 1 <= drop <= 32
std::int32_t narrow(std::int64_t lane, int drop) {
  if constexpr (kHasWideRegisters) {
    return static_cast<std::int32_t>(((lane >> (drop - 1)) + 1) >> 1);
  }
  const auto low = static_cast<std::uint32_t>(lane);
  const auto high = static_cast<std::uint32_t>(lane >> 32);
  const auto twice = static_cast<std::int32_t>((low >> (drop - 1)) | ((high << 1) << (32 - drop)));
  return (twice >> 1) + (twice & 1);
}

std::int32_t narrow(std::int32_t lane, int drop) {
  const std::int32_t twice = lane >> (drop - 1);
  return (twice >> 1) + (twice & 1);
}

/// Rounded half up and clipped to +-127, for all ratios and shifts.
std::int8_t round_lane(std::int32_t lane, const BlockRounding& rounding) {
  const std::int64_t product = std::int64_t{lane} * rounding.ratio;  // |product| <= 2^61
  return static_cast<std::int8_t>(
      std::clamp<std::int32_t>(shift_saturate(product, rounding.shift), -127, 127));
}

/// The lanes of one block, where the scale was not saturated: they need no clipping, as the largest
/// times the ratio is at most 127 units.
///   ratio below 2^31, so raised that the upper half of a product is all that matters
///   shift of the upper half, one bit of which rounds
template <typename Lane>
void round_lanes(std::int8_t* out, std::span<const Lane> in, int drop, std::int32_t ratio,
                 int shift) {
  const auto round = [&](std::int32_t lane) {
    const auto high = static_cast<std::int32_t>((std::int64_t{lane} * ratio) >> 32);
    return static_cast<std::int8_t>(((high >> shift) + 1) >> 1);
  };
  if (drop == 0) {
    for (const Lane lane : in) *out++ = round(static_cast<std::int32_t>(lane));
  } else {
    for (const Lane lane : in) *out++ = round(narrow(lane, drop));
  }
}

template <typename Lane>
Scale16 quantize_block(std::int8_t* out, std::span<const Lane> in, Multiplier unit) {
  const std::uint64_t largest = largest_magnitude(in);
  if (largest == 0) {
    std::fill_n(out, in.size(), std::int8_t{0});
    return {};
  }
  const BlockRounding r = round_block(largest, unit);
  const int lift = 31 - significant_bits(r.ratio);
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
  // Lanes are first brought to 31 bits, so that one product of 64 bits suffices.
  const int drop = std::max<int>(0, significant_bits(largest) - 30);
  const auto top =
      static_cast<std::uint64_t>(shift_round(static_cast<std::int64_t>(largest), drop));
  const int lift = kMultiplierBits - significant_bits(unit.mantissa);
  const std::uint32_t mantissa = lift > 0 ? unit.mantissa << lift : unit.mantissa;
  const int exponent = unit.exponent - std::max<int>(lift, 0) + drop + kScaleFractionBits;
  const Scale16 scale = scale_for_largest(top * mantissa, exponent);
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
