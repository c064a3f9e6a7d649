// SPDX-License-Identifier: Apache-2.0
// Rounding, saturation and roots against exact arithmetic of 128 bits.
#include "base/fixed_point.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::half_up;
using test::half_up_saturated;
using test::Int128;
using test::Random;

/// Both signs of all powers of two below 2^bits and their neighbours, then awkward numbers.
std::vector<std::int64_t> edge_values(int bits, std::uint64_t seed) {
  std::vector<std::int64_t> values = {0};
  for (int i = 0; i < bits; ++i) {
    const auto power = static_cast<std::int64_t>(std::uint64_t{1} << i);
    for (const std::int64_t value : {power - 1, power, power + (i + 1 < bits ? 1 : 0)}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  Random random(seed);
  for (int i = 0; i < 600; ++i) values.push_back(random.awkward_signed(bits));
  return values;
}

TEST(ShiftRound, is_half_up_for_every_shift) {
  int wrong = 0;
  for (const std::int64_t value : edge_values(62, 1)) {
    for (int shift = 0; shift <= 62; ++shift) {
      wrong += shift_round(value, shift) != half_up(value, shift) ? 1 : 0;
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(ShiftRound, rounds_halves_up_on_both_sides_of_zero) {
  EXPECT_EQ(shift_round(1, 1), 1);
  EXPECT_EQ(shift_round(-1, 1), 0);
  EXPECT_EQ(shift_round(3, 1), 2);
  EXPECT_EQ(shift_round(-3, 1), -1);
  EXPECT_EQ(shift_round(-5, 2), -1);
  EXPECT_EQ(shift_round(-6, 2), -1);
  EXPECT_EQ(shift_round(-7, 2), -2);
}

TEST(ShiftSaturate, is_exact_for_every_shift) {
  int wrong = 0;
  for (const std::int64_t value : edge_values(62, 2)) {
    for (int shift = -90; shift <= 90; ++shift) {
      wrong += shift_saturate(value, shift) != half_up_saturated(value, shift) ? 1 : 0;
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(SaturateS32, keeps_what_fits) {
  EXPECT_EQ(saturate_s32(std::int64_t{INT32_MAX}), INT32_MAX);
  EXPECT_EQ(saturate_s32(std::int64_t{INT32_MAX} + 1), INT32_MAX);
  EXPECT_EQ(saturate_s32(std::int64_t{INT32_MIN}), INT32_MIN);
  EXPECT_EQ(saturate_s32(std::int64_t{INT32_MIN} - 1), INT32_MIN);
  EXPECT_EQ(saturate_s32(std::numeric_limits<std::int64_t>::max()), INT32_MAX);
  EXPECT_EQ(saturate_s32(std::numeric_limits<std::int64_t>::min()), INT32_MIN);
}

/// Shifts at which value * mantissa is not rounded as exact arithmetic rounds it.
int count_wrong_shifts(std::int64_t value, std::uint32_t mantissa) {
  int wrong = 0;
  for (int shift = -70; shift <= 130; ++shift) {
    const std::int32_t exact = half_up_saturated(Int128{value} * mantissa, shift);
    if (multiply_shift(value, mantissa, shift) == exact) continue;
    if (wrong++ == 0) ADD_FAILURE() << value << " * " << mantissa << " >> " << shift;
  }
  return wrong;
}

TEST(MultiplyShift, is_exact_for_every_shift) {
  std::vector<std::int64_t> values = edge_values(63, 3);
  values.push_back(std::numeric_limits<std::int64_t>::max());
  values.push_back(std::numeric_limits<std::int64_t>::min());
  const std::vector<std::uint32_t> mantissas = {
      0, 1, 2, 3, 2047, 4095, 1U << 19, 1U << 20, 0x7fffffffU, 0x80000000U, 0xffffffffU};
  int wrong = 0;
  for (const std::int64_t value : values) {
    for (const std::uint32_t mantissa : mantissas) wrong += count_wrong_shifts(value, mantissa);
    if (wrong > 0) break;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(MultiplyShift, is_exact_for_awkward_mantissas) {
  Random random(4);
  int wrong = 0;
  for (int i = 0; i < 4000 && wrong == 0; ++i) {
    const auto mantissa = static_cast<std::uint32_t>(random.awkward(random.between<int>(1, 32)));
    wrong += count_wrong_shifts(random.awkward_signed(63), mantissa);
  }
  EXPECT_EQ(wrong, 0);
}

// Where the result lies around a half, one bit of the product decides.
TEST(MultiplyShift, is_exact_around_halves) {
  Random random(5);
  int wrong = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto mantissa = static_cast<std::uint32_t>(1 + random.awkward(31));
    const int shift = random.between<int>(1, 80);
    const Int128 half = (2 * Int128{random.between(-(1 << 20), 1 << 20)} + 1) << (shift - 1);
    const Int128 value = half / mantissa + random.between(-1, 1);
    if (value > INT64_MAX || value < INT64_MIN) continue;
    const auto narrow = static_cast<std::int64_t>(value);
    const std::int32_t exact = half_up_saturated(value * mantissa, shift);
    wrong += multiply_shift(narrow, mantissa, shift) != exact ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Normalized, keeps_20_bits) {
  Random random(6);
  int wrong = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t value = random.awkward(random.between<int>(1, 64));
    const Multiplier m = normalized(value, -7);
    const int drop = m.exponent + 7;
    const bool short_enough = significant_bits(m.mantissa) <= kMultiplierBits;
    const bool full = drop == 0 || significant_bits(m.mantissa) == kMultiplierBits;
    wrong += short_enough && full && drop >= 0 && m.mantissa == value >> drop ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(test::real(kUnitMultiplier), 1.0);
}

bool is_root(std::uint64_t root, std::uint64_t value) {
  const Int128 r = root;
  return r * r <= value && (r + 1) * (r + 1) > value;
}

TEST(IntegerSqrt, is_exact_around_squares) {
  std::vector<std::uint64_t> roots;
  for (std::uint64_t k = 1; k <= 70000; ++k) roots.push_back(k);
  for (std::uint64_t k = 70000; k <= 0xffffffffU; k += 65521) roots.push_back(k);
  for (std::uint64_t k = 0xffffff00U; k <= 0xffffffffU; ++k) roots.push_back(k);
  int wrong = 0;
  for (const std::uint64_t k : roots) {
    wrong += integer_sqrt(k * k - 1) != k - 1 ? 1 : 0;
    wrong += integer_sqrt(k * k) != k ? 1 : 0;
    wrong += integer_sqrt(k * k + 1) != k ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(IntegerSqrt, is_exact_for_awkward_numbers) {
  EXPECT_EQ(integer_sqrt(0), 0U);
  EXPECT_EQ(integer_sqrt(~std::uint64_t{0}), 0xffffffffU);
  Random random(7);
  int wrong = 0;
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t value = random.awkward(random.between<int>(1, 64));
    wrong += is_root(integer_sqrt(value), value) ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace mote
