// SPDX-License-Identifier: Apache-2.0
// The division of the sigmoid, for vectors of any length.
#pragma once

#include <cstdint>

namespace mote::x86 {

// Inline by force: no copy of these may be kept for other machines.

/// Lanes, taken for signed ones, shifted right. // V a vector of uint32
template <typename V>
[[gnu::always_inline]] inline V shift_signed(V lanes, int bits) {
  using Signed = decltype(lanes == lanes);
  return reinterpret_cast<V>(reinterpret_cast<Signed>(lanes) >> bits);
}

/// round(2^32 / divisor), half up, for 2^16 to 2^17. Two steps of Newton's method lead from a line
/// that is 6 % away to the result or one less, and the remainder says to which.
template <typename V>
[[gnu::always_inline]] inline V divide(V divisor) {
  constexpr std::uint32_t kOne = 1U << 31;
  // 2^31 / divisor; the line is 0.959 - (d - 1) / 2.
  const V line = (959 * (1U << 15) / 1000 + (1U << 14)) - (divisor >> 2);
  const V step = line * shift_signed(kOne - line * divisor, 16);
  const V low = line + shift_signed(step, 15);
  // A step always ends too low: half of the most makes it too low or too high.
  const V close = low + (low >> 9);
  // Two bits more.
  const V last = close * shift_signed(kOne - close * divisor, 8);
  const V quotient = ((close << 2) + shift_signed(last, 21) + 1) >> 1;
  // 2^32 + divisor / 2 - quotient * divisor, modulo 2^32; of the result it is 0 to divisor - 1.
  const V rest = (divisor >> 1) - quotient * divisor;
  using Signed = decltype(rest == rest);
  const Signed is_less =
      reinterpret_cast<Signed>(rest) >= reinterpret_cast<Signed>(divisor);  // 0 or -1
  return quotient - reinterpret_cast<V>(is_less);
}

}  // namespace mote::x86
