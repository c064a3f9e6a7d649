// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fixed_point.hpp"
#include "mote/config.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;
using test::real;
using test::Worst;

constexpr int kGainExponent = -12;

std::vector<std::int32_t> random_residual(Random& random, std::size_t dim, int bits) {
  std::vector<std::int32_t> residual(dim);
  for (auto& lane : residual) lane = static_cast<std::int32_t>(random.awkward_signed(bits));
  return residual;
}

double exact_factor(std::uint64_t sum, std::uint64_t epsilon, std::uint32_t dim,
                    int fraction_bits) {
  const auto total = static_cast<long double>(sum) + static_cast<long double>(epsilon);
  return static_cast<double>(std::ldexp(1 / std::sqrt(total / dim), fraction_bits));
}

TEST(SumSquares, is_exact_and_adds_up_over_slices) {
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    const auto residual = random_residual(random, 1 + random.below(4096), 26);
    std::uint64_t sum = 0;
    for (const std::int32_t lane : residual) {
      sum += static_cast<std::uint64_t>(std::int64_t{lane} * lane);
    }
    EXPECT_EQ(sum_squares(residual), sum);
    const std::size_t cut = random.below(residual.size() + 1);
    const std::span<const std::int32_t> all(residual);
    EXPECT_EQ(sum_squares(all.first(cut)) + sum_squares(all.subspan(cut)), sum);
  }
}

TEST(SumSquares, largest_residual_and_epsilon_fit) {
  const std::vector<std::int32_t> residual(kMaxDim, -kResidualLimit);
  const std::uint64_t sum = sum_squares(residual);
  const std::uint64_t square = std::uint64_t{kResidualLimit} * kResidualLimit;
  EXPECT_EQ(sum / kMaxDim, square);
  constexpr std::uint64_t epsilon = std::uint64_t{1} << 38;
  EXPECT_GT(sum + epsilon, sum);
  EXPECT_NEAR(real(norm_factor(sum, epsilon, kMaxDim, 0)) * kResidualLimit, 1, 1e-5);
}

TEST(NormFactor, relative_error_is_within_the_stated_bound) {
  Random random(2);
  Worst worst;
  for (int i = 0; i < 200000; ++i) {
    const auto dim = static_cast<std::uint32_t>(1 + random.below(kMaxDim));
    const std::uint64_t epsilon = 1 + random.awkward(random.between<int>(1, 38));
    const std::uint64_t sum = random.awkward(random.between<int>(1, 63));
    const int fraction_bits = random.between<int>(8, 20);
    const Multiplier factor = norm_factor(sum, epsilon, dim, fraction_bits);
    ASSERT_LE(factor.mantissa, 1U << kMultiplierBits);
    const double exact = exact_factor(sum, epsilon, dim, fraction_bits);
    worst.offer(std::abs(real(factor) / exact - 1), i);
  }
  test::record("relative_error", worst.value);
  EXPECT_LT(worst.value, std::ldexp(1.0, -18));
}

TEST(NormFactor, every_dim) {
  Worst worst;
  for (std::uint32_t dim = 1; dim <= kMaxDim; ++dim) {
    for (const std::uint64_t sum : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{dim} << 32}) {
      const double exact = exact_factor(sum, 1, dim, 16);
      worst.offer(std::abs(real(norm_factor(sum, 1, dim, 16)) / exact - 1), dim);
    }
  }
  EXPECT_LT(worst.value, std::ldexp(1.0, -18)) << "dim " << worst.where;
}

/// The worst lane of a whole norm, in steps of its block's scale, against double.
double norm_error(Random& random, std::uint32_t dim, std::size_t block, int bits) {
  constexpr int fraction_bits = 16;
  const auto residual = random_residual(random, dim, bits);
  std::vector<std::int16_t> gains(dim);
  for (auto& gain : gains) gain = random.between<std::int16_t>(-32768, 32767);
  const std::uint64_t sum = sum_squares(residual);
  const double factor = real(norm_factor(sum, 1, dim, fraction_bits));
  const double exact_root = exact_factor(sum, 1, dim, fraction_bits);
  Worst worst;
  for (std::size_t first = 0; first < dim; first += block) {
    const std::size_t count = std::min<std::size_t>(block, dim - first);
    std::vector<std::int8_t> out(count);
    const Scale16 scale = norm_block_s32_s8(out.data(), std::span(residual).subspan(first, count),
                                            &gains[first], kGainExponent, fraction_bits);
    if (scale.bits == 0) continue;
    for (std::size_t i = 0; i < count; ++i) {
      const double lane = std::ldexp(residual[first + i], -fraction_bits);
      const double exact = lane * exact_root * std::ldexp(gains[first + i], kGainExponent);
      worst.offer(std::abs(out[i] * real(scale) * factor - exact) / (real(scale) * exact_root),
                  static_cast<double>(first + i));
    }
  }
  return worst.value;
}

TEST(NormBlock, whole_norm_is_within_half_a_step) {
  Random random(3);
  Worst worst;
  for (const std::uint32_t dim : {1U, 2U, 31U, 64U, 100U, 288U, 1024U, 4095U, 4096U}) {
    for (const std::size_t block : {16U, 32U, 64U}) {
      for (const int bits : {3, 16, 20, 26}) worst.offer(norm_error(random, dim, block, bits), dim);
    }
  }
  test::record("error_in_steps", worst.value);
  // Half a step, 2^-10 of the quantiser, and 2^-18 of the factor on up to 127 steps.
  EXPECT_LE(worst.value, 0.5 + std::ldexp(1.0, -10) + std::ldexp(127.0, -18));
}

TEST(NormBlock, zero_residual_is_zero_and_epsilon_bounds_the_factor) {
  const std::vector<std::int32_t> residual(32);
  const std::vector<std::int16_t> gains(32, 4096);
  std::vector<std::int8_t> out(32, 99);
  const Scale16 scale = norm_block_s32_s8(out.data(), residual, gains.data(), kGainExponent, 16);
  EXPECT_EQ(scale.bits, 0);
  EXPECT_EQ(std::ranges::count(out, 0), 32);
  EXPECT_EQ(sum_squares(residual), 0U);
  // dim * 1e-5 * 2^32: the factor is 1 / sqrt(1e-5).
  const auto epsilon = static_cast<std::uint64_t>(std::llround(32 * 1e-5 * 4294967296.0));
  EXPECT_NEAR(real(norm_factor(0, epsilon, 32, 16)), std::sqrt(1e5), 0.01);
}

TEST(AddResidual, saturates_at_the_limit) {
  std::vector<std::int32_t> residual = {
      0, 5,  kResidualLimit,    -kResidualLimit, kResidualLimit, -kResidualLimit,
      1, -1, kResidualLimit - 1};
  const std::vector<std::int32_t> delta = {7,         -9,        1,         -1, INT32_MIN,
                                           INT32_MAX, INT32_MAX, INT32_MIN, 1};
  add_residual(residual, delta.data());
  EXPECT_EQ(residual, (std::vector<std::int32_t>{7, -4, kResidualLimit, -kResidualLimit,
                                                 -kResidualLimit, kResidualLimit, kResidualLimit,
                                                 -kResidualLimit, kResidualLimit}));
}

}  // namespace
}  // namespace mote
