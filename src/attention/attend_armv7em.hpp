// SPDX-License-Identifier: Apache-2.0
// What the forms of attention for Cortex-M with the DSP extension share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mote::armv7em {

/// Lanes that one load of two words brings.
inline constexpr std::size_t kLanes = 8;
/// Positions whose contributions are made and then used: the fewer, the more often is their sum
/// small.
inline constexpr std::uint32_t kPositionsPerPart = 64;
/// By how many bits stored contributions are raised.
inline constexpr int kContributionRaise = 8;

/// Contributions of positions to two heads, raised, and a zero behind the last.
struct Contributions {
  std::uint32_t pairs[kPositionsPerPart + 1][2];
};

/// Adds the values of `count` positions, times their contributions to one head.
///   out (width), values (count, width); contributions (count), of which the sum is `sum`, in
///   every other word; one more is written to. width a multiple of 8
void add_values(std::int64_t* out, const std::int8_t* values, std::uint32_t* contributions,
                std::uint32_t count, std::uint32_t sum, std::size_t width);

/// Pairs of int16 in the order in which SXTB16 takes bytes out of words: lanes 0 and 2, 1 and 3.
///   out (count / 2), lanes (count) // count a multiple of 4
void extend(std::uint32_t* out, const std::int8_t* lanes, std::size_t count);

/// A base below 1 leaves no shift to be usual.
inline std::uint32_t usual_base(int base) {
  return static_cast<std::uint32_t>(std::max<int>(base, 0));
}

}  // namespace mote::armv7em
