// SPDX-License-Identifier: Apache-2.0
// Exact and real arithmetic that the integer kernels are held against, and the record of worst
// errors, which `--gtest_output=xml` shows.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>

#include "mote/scale.hpp"

namespace mote::test {

using Int128 = __int128;

inline std::int32_t saturated(Int128 value) {
  constexpr Int128 low = std::numeric_limits<std::int32_t>::min();
  constexpr Int128 high = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::min(std::max(value, low), high));
}

/// floor(value / 2^shift + 1/2) for every shift. // |value| < 2^120
inline Int128 half_up(Int128 value, int shift) {
  if (shift > 121) return 0;
  if (shift > 0) return (value + (Int128{1} << (shift - 1))) >> shift;
  if (shift == 0) return value;
  // Beyond 2^40 only the sign matters to the callers, who saturate to 32 bits.
  constexpr Int128 limit = Int128{1} << 40;
  const Int128 limited = std::min(std::max(value, -limit), limit);
  return limited * (Int128{1} << std::min(-shift, 60));
}

inline std::int32_t half_up_saturated(Int128 value, int shift) {
  return saturated(half_up(value, shift));
}

inline double real(Multiplier multiplier) {
  return std::ldexp(multiplier.mantissa, multiplier.exponent);
}

/// The worth of an activation's scale: value * 2^-28.
inline double real(Scale16 scale) {
  return std::ldexp(static_cast<double>(scale.value()), -kScaleFractionBits);
}

/// A result that docs/NUMERICS.md quotes.
inline void record(const std::string& key, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  testing::Test::RecordProperty(key, text);
}

/// The largest of the values offered to it, and where it was.
struct Worst {
  double value = 0;
  double where = 0;

  void offer(double candidate, double at) {
    if (std::isnan(candidate) || candidate > value) {
      value = std::isnan(candidate) ? std::numeric_limits<double>::infinity() : candidate;
      where = at;
    }
  }
};

}  // namespace mote::test
