// SPDX-License-Identifier: Apache-2.0
// Linear attention as docs/NUMERICS.md says it, in numbers of 128 bits: what LinearAttention must
// give bit for bit, from the state as it was. When sums are halved is left to it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/linear_attention.hpp"
#include "support/oracle.hpp"

namespace mote::test {

/// round(value / 2^shift), half up; a product where the shift is negative.
inline Int128 plain_round(Int128 value, int shift) {
  if (shift <= 0) return value * (Int128{1} << -shift);
  return (value + (Int128{1} << (shift - 1))) >> shift;
}

inline std::uint32_t plain_feature(std::int8_t lane, Scale16 scale) {
  if (lane <= 0) return 1U << 16;
  const Int128 real = plain_round(Int128{lane} * scale.mantissa(), 12 - scale.exponent());
  return static_cast<std::uint32_t>(std::min<Int128>(real + (1 << 16), 0xffffffffU));
}

/// One sum after a token: decayed, brought to the unit of exponent `to`, and added to.
inline std::int64_t plain_sum(std::int64_t sum, const SumUnit& unit, int to, std::uint32_t decay,
                              Int128 addend, int exponent) {
  const Int128 decayed = plain_round(Int128{sum} * decay, 16);
  return static_cast<std::int64_t>(plain_round(decayed, to - unit.exponent) +
                                   plain_round(addend, to - exponent));
}

/// The values that `attend` gives of one row of sums, and of the denominator.
inline std::int64_t plain_output(std::span<const std::int64_t> row, const SumUnit& unit,
                                 QuantizedVector query) {
  const int shift = 44 - significant_bits(unit.bound);
  Int128 total = 0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    total += plain_round(row[j], -shift) * plain_feature(query.values[j], query.scale);
  }
  return static_cast<std::int64_t>(plain_round(total, 22));
}

}  // namespace mote::test
