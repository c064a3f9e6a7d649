// SPDX-License-Identifier: Apache-2.0
// A counter of 64 bits from one that wraps.
#pragma once

#include <cstdint>

namespace mote::ports {

/// The number nearest to `estimate` whose lowest `Bits` bits are those of `low`; never negative.
/// It is right while the estimate (a clock times a rate) is off by less than 2^(Bits - 1), however
/// seldom it is asked.
template <unsigned Bits>
constexpr std::uint64_t widen(std::uint32_t low, std::uint64_t estimate) {
  static_assert(Bits >= 2 && Bits <= 32);
  constexpr std::uint64_t kSpan = std::uint64_t{1} << Bits;
  const std::uint64_t ahead = (low - estimate) & (kSpan - 1);
  const bool is_behind = ahead >= kSpan / 2 && estimate + ahead >= kSpan;
  return estimate + ahead - (is_behind ? kSpan : 0);
}

}  // namespace mote::ports
