// SPDX-License-Identifier: Apache-2.0
// Sigmoid and SiLU over their whole useful domain, SwiGLU at its ends.
#include "kernels/activation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;
using test::Worst;

constexpr std::int32_t kOne = 1 << 16;
constexpr std::int32_t kEnd = 30 * kOne;
constexpr double kSigmoidBoundUnits = 1.1;
constexpr std::int32_t kSiluLimit = (1 << 27) - 1;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

TEST(Sigmoid, error_is_within_the_stated_bound) {
  Worst units;
  for (std::int32_t x = -kEnd; x <= kEnd; ++x) {
    units.offer(std::abs(sigmoid_q16(x) - kOne * sigmoid(x / 65536.0)), x);
  }
  test::record("units", units.value);
  EXPECT_LE(units.value, kSigmoidBoundUnits) << "at " << units.where;
}

TEST(Sigmoid, never_falls) {
  int falls = 0;
  std::int32_t first = 0;
  for (std::int32_t x = 1 - kEnd; x <= kEnd; ++x) {
    if (sigmoid_q16(x) >= sigmoid_q16(x - 1)) continue;
    if (falls++ == 0) first = x;
  }
  EXPECT_EQ(falls, 0) << "first at " << first;
}

TEST(Sigmoid, of_both_signs_add_up_to_one) {
  int wrong = 0;
  for (std::int32_t x = 1; x <= kEnd; ++x)
    wrong += sigmoid_q16(x) + sigmoid_q16(-x) != 1U << 16 ? 1 : 0;
  EXPECT_EQ(wrong, 0);
}

TEST(Sigmoid, ends) {
  EXPECT_EQ(sigmoid_q16(0), 1U << 15);
  EXPECT_EQ(sigmoid_q16(INT32_MAX), 1U << 16);
  EXPECT_EQ(sigmoid_q16(INT32_MIN), 0U);
}

TEST(Silu, error_is_that_of_sigmoid_times_x) {
  Worst excess;
  Worst units;
  for (std::int32_t x = -kEnd; x <= kEnd; ++x) {
    const double real = x / 65536.0;
    const double exact = real * sigmoid(real);
    const double error = std::abs(silu_q16_q20(x) - exact * (1 << 20));
    // A unit of the sigmoid's Q16 is 16 units of Q20, times x; the result adds half a unit.
    excess.offer(error - std::abs(real) * 16 * kSigmoidBoundUnits - 0.5, x);
    units.offer(error / (1 << 20) / std::max(1.0, std::abs(real)), x);
  }
  test::record("error_relative_to_max_of_1_and_x", units.value);
  EXPECT_LE(excess.value, 0) << "at " << excess.where;
}

TEST(Silu, is_limited_at_its_ends) {
  EXPECT_EQ(silu_q16_q20(0), 0);
  EXPECT_EQ(silu_q16_q20(kSiluLimit), kSiluLimit * 16);
  EXPECT_EQ(silu_q16_q20(INT32_MAX), kSiluLimit * 16);
  EXPECT_EQ(silu_q16_q20(-kSiluLimit), 0);
  EXPECT_EQ(silu_q16_q20(INT32_MIN), 0);
}

TEST(Swiglu, is_the_exact_product) {
  Random random(1);
  for (int i = 0; i < 100000; ++i) {
    const auto gate = static_cast<std::int32_t>(random.awkward_signed(31));
    const auto up = static_cast<std::int32_t>(random.awkward_signed(31));
    ASSERT_EQ(swiglu_q36(gate, up), std::int64_t{silu_q16_q20(gate)} * up);
  }
}

TEST(Swiglu, extremes_stay_below_62_bits) {
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  for (const std::int32_t gate : {INT32_MIN, -kOne, 0, kOne, kSiluLimit, INT32_MAX}) {
    for (const std::int32_t up : {INT32_MIN, -1, 0, 1, INT32_MAX}) {
      EXPECT_LT(std::abs(swiglu_q36(gate, up)), limit);
    }
  }
  EXPECT_EQ(swiglu_q36(INT32_MAX, INT32_MIN), std::int64_t{kSiluLimit} * 16 * INT32_MIN);
}

TEST(Swiglu, agrees_with_double) {
  Random random(2);
  Worst worst;
  for (int i = 0; i < 200000; ++i) {
    const double gate = 3 * random.normal();
    const double up = 3 * random.normal();
    const auto result = swiglu_q36(static_cast<std::int32_t>(std::floor(gate * kOne + 0.5)),
                                   static_cast<std::int32_t>(std::floor(up * kOne + 0.5)));
    const double exact = gate * sigmoid(gate) * up;
    // The inputs are off by half a unit of Q16 each; the slope of SiLU is at most 1.1.
    const double bound = (std::abs(gate) + 1) * (std::abs(up) + 1) * std::ldexp(1.0, -14);
    worst.offer(std::abs(std::ldexp(static_cast<double>(result), -36) - exact) / bound, gate);
  }
  EXPECT_LE(worst.value, 1);
}

}  // namespace
}  // namespace mote
