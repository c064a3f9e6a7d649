// SPDX-License-Identifier: Apache-2.0
// The loops of quantize_block_*, of which chips have forms of their own: quantize_portable.cpp or
// another, one in a build (src/sources.cmake).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

namespace mote {

/// The largest magnitude of lanes; 0 of none.
///   in (n), those of 64 bits below 2^62
std::uint64_t largest_magnitude(std::span<const std::int32_t> in);
std::uint64_t largest_magnitude(std::span<const std::int64_t> in);

/// largest_magnitude by the ends of the range of lanes, in the fewest instructions of a program.
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

/// What quantize_block's lanes become where the scale was not saturated: they need no clipping, as
/// the largest times the ratio is at most 127 units. lane / 2^drop is rounded half up, its product
/// with the ratio loses the lowest 32 + shift bits, and the last of those that are left rounds.
///   out (n), in (n) that fit 31 bits after the drop
///   drop 0 to 32, ratio from 2^30 to 2^31, shift 0 to 31
void round_lanes(std::int8_t* out, std::span<const std::int32_t> in, int drop, std::int32_t ratio,
                 int shift);
void round_lanes(std::int8_t* out, std::span<const std::int64_t> in, int drop, std::int32_t ratio,
                 int shift);

/// lane * 2^-drop, rounded half up, which fits 32 bits. // 1 <= drop <= 32
inline std::int32_t narrow(std::int64_t lane, int drop) {
  const auto low = static_cast<std::uint32_t>(lane);
  const auto high = static_cast<std::uint32_t>(lane >> 32);
  const auto twice = static_cast<std::int32_t>((low >> (drop - 1)) | ((high << 1) << (32 - drop)));
  return (twice >> 1) + (twice & 1);
}

/// The same of 32 bits.
inline std::int32_t narrow(std::int32_t lane, int drop) {
  const std::int32_t twice = lane >> (drop - 1);
  return (twice >> 1) + (twice & 1);
}

/// One lane of round_lanes, narrowed.
inline std::int8_t round_narrow(std::int32_t lane, std::int32_t ratio, int shift) {
  const auto high = static_cast<std::int32_t>((std::int64_t{lane} * ratio) >> 32);
  return static_cast<std::int8_t>(((high >> shift) + 1) >> 1);
}

}  // namespace mote
