// SPDX-License-Identifier: Apache-2.0
// 2^-d over every exponent that gives more than zero.
#include "kernels/exp2.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "support/oracle.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kOne = 1U << 16;
constexpr std::uint32_t kEnd = 31 * kOne;

std::int64_t rounded_power(std::uint32_t index) {
  return std::llround(std::exp2(30.0 - index / 256.0));
}

TEST(Exp2Negative, table_entries_are_rounded_powers) {
  for (std::uint32_t i = 0; i <= 256; ++i) EXPECT_EQ(exp2_negative(i << 8), rounded_power(i)) << i;
}

TEST(Exp2Negative, interpolates_between_entries) {
  int wrong = 0;
  for (std::uint32_t d = 0; d < kOne; ++d) {
    const std::int64_t left = rounded_power(d >> 8);
    const std::int64_t step = left - rounded_power((d >> 8) + 1);
    const double exact = static_cast<double>(step * (d & 255)) / 256;
    wrong += exp2_negative(d) != left - static_cast<std::int64_t>(std::floor(exact + 0.5)) ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Exp2Negative, whole_steps_are_shifts_rounded_half_up) {
  int wrong = 0;
  for (std::uint32_t d = kOne; d < kEnd; ++d) {
    const double exact = std::ldexp(exp2_negative(d % kOne), -static_cast<int>(d / kOne));
    wrong += exp2_negative(d) != std::floor(exact + 0.5) ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Exp2Negative, error_is_within_the_stated_bound) {
  test::Worst excess;
  test::Worst relative;
  for (std::uint32_t d = 0; d < kEnd; ++d) {
    const double exact = std::exp2(30.0 - d / 65536.0);
    const double error = std::abs(exp2_negative(d) - exact);
    excess.offer(error - 0.5 - std::ldexp(exact, -20), d);
    if (d < kOne) relative.offer(error / exact, d);
  }
  test::record("relative_error", relative.value);
  EXPECT_LE(excess.value, 0) << "at " << excess.where;
}

TEST(Exp2Negative, never_rises) {
  int rises = 0;
  for (std::uint32_t d = 1; d <= kEnd; ++d)
    rises += exp2_negative(d) > exp2_negative(d - 1) ? 1 : 0;
  EXPECT_EQ(rises, 0);
}

TEST(Exp2Negative, is_zero_from_31_on) {
  EXPECT_EQ(exp2_negative(0), 1U << 30);
  EXPECT_EQ(exp2_negative(kEnd - 1), 1U);
  for (const std::uint32_t d : {kEnd, kEnd + 1, 1U << 30, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(exp2_negative(d), 0U);
  }
}

TEST(Exp2Negative, log2e_is_rounded) {
  EXPECT_EQ(kLog2eQ16, std::lround(std::log2(std::exp(1.0)) * 65536));
}

}  // namespace
}  // namespace mote
