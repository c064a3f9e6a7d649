// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "mote/config.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;
using test::real;
using test::Worst;

/// A vector in blocks, as a model hands it over, and what it means.
struct Blocks {
  std::vector<std::int8_t> values;
  std::vector<Scale16> scales;
  std::uint32_t block = 0;
  std::uint32_t dim = 0;

  double lane(std::size_t i) const { return values[i] * real(scales[i / block]); }
  double mean_square() const {
    double sum = 0;
    for (std::size_t i = 0; i < dim; ++i) sum += lane(i) * lane(i);
    return sum / dim;
  }
  Multiplier factor(std::uint64_t epsilon) const {
    std::vector<std::uint32_t> aligned(scales.size());
    const int unit = align_scales(aligned.data(), scales);
    return norm_factor(values.data(), aligned, unit, block, dim, epsilon);
  }
};

/// Scales of `spread` octaves; each block's largest lane is 127, as the quantiser leaves it.
Blocks random_blocks(Random& random, std::uint32_t dim, std::uint32_t block, int spread) {
  Blocks blocks;
  blocks.block = block;
  blocks.dim = dim;
  blocks.scales.resize((dim + block - 1) / block);
  blocks.values.resize(blocks.scales.size() * block);
  const int top = random.between<int>(spread, 30);
  for (auto& scale : blocks.scales) {
    scale = encode_scale_up(2048 + random.below(2048), top - random.between<int>(0, spread));
  }
  for (std::size_t i = 0; i < dim; ++i) {
    const bool is_first = i % block == 0;
    blocks.values[i] = is_first ? std::int8_t{127} : random.between<std::int8_t>(-127, 127);
  }
  return blocks;
}

double exact_factor(double mean_square, std::uint64_t epsilon, std::uint32_t dim) {
  const double units = std::ldexp(static_cast<double>(epsilon), -kNormEpsilonFractionBits);
  return 1 / std::sqrt(mean_square + units / dim);
}

TEST(NormFactor, relative_error_is_within_the_stated_bound) {
  Random random(2);
  Worst worst;
  for (int i = 0; i < 4000; ++i) {
    const auto dim = static_cast<std::uint32_t>(1 + random.below(kMaxDim));
    const std::uint32_t block = 16U << random.below(3);
    const Blocks blocks = random_blocks(random, dim, block, i % 16);
    const std::uint64_t epsilon = random.awkward(random.between<int>(0, 40));
    const Multiplier factor = blocks.factor(epsilon);
    ASSERT_LE(factor.mantissa, 1U << kMultiplierBits);
    const double exact = exact_factor(blocks.mean_square(), epsilon, dim);
    worst.offer(std::abs(real(factor) / exact - 1), i);
  }
  test::record("relative_error", worst.value);
  EXPECT_LT(worst.value, std::ldexp(1.0, -17)) << worst.where;
}

// Many small blocks beside one large lane: no block's share is lost.
TEST(NormFactor, small_blocks_count) {
  Blocks blocks;
  blocks.block = 16;
  blocks.dim = kMaxDim;
  blocks.values.assign(kMaxDim, 127);
  blocks.scales.assign(kMaxDim / 16, encode_scale_up(4095, 10));
  for (std::size_t i = 1; i < 16; ++i) blocks.values[i] = 0;
  for (int octaves = 0; octaves <= 12; ++octaves) {
    blocks.scales[0] = encode_scale_up(4095, 10 + octaves);
    EXPECT_NEAR(real(blocks.factor(0)) * std::sqrt(blocks.mean_square()), 1, std::ldexp(1.0, -17))
        << octaves;
  }
}

TEST(NormFactor, largest_input_fits) {
  Blocks blocks;
  blocks.dim = kMaxDim;
  for (const std::uint32_t block : {16U, 32U, 64U}) {
    blocks.block = block;
    blocks.values.assign(kMaxDim, -127);
    for (const std::uint16_t bits : {std::uint16_t{1}, std::uint16_t{0x7ff}, kScale16Max}) {
      blocks.scales.assign(kMaxDim / block, Scale16{bits});
      const double bound = std::ldexp(1.0, bits < 0x800 ? -7 : -17);
      for (const std::uint64_t epsilon : {std::uint64_t{0}, std::uint64_t{1} << 40}) {
        const double exact = exact_factor(blocks.mean_square(), epsilon, kMaxDim);
        EXPECT_NEAR(real(blocks.factor(epsilon)) / exact, 1, bound) << bits;
      }
    }
  }
}

TEST(NormFactor, every_dim) {
  Random random(3);
  Worst worst;
  for (std::uint32_t dim = 1; dim <= kMaxDim; dim += dim < 300 ? 1 : 37) {
    const Blocks blocks = random_blocks(random, dim, 32, 3);
    const double exact = exact_factor(blocks.mean_square(), 1, dim);
    worst.offer(std::abs(real(blocks.factor(1)) / exact - 1), dim);
  }
  EXPECT_LT(worst.value, std::ldexp(1.0, -17)) << "dim " << worst.where;
}

TEST(NormFactor, of_zeros_is_bounded_by_epsilon) {
  Blocks blocks;
  blocks.block = 32;
  blocks.dim = 32;
  blocks.values.assign(32, 0);
  blocks.scales.assign(1, Scale16{});
  const auto epsilon =
      static_cast<std::uint64_t>(std::llround(std::ldexp(32 * 1e-5, kNormEpsilonFractionBits)));
  EXPECT_NEAR(real(blocks.factor(epsilon)), std::sqrt(1e5), 0.01);
  EXPECT_GT(blocks.factor(0).mantissa, 0U);  // no division by zero; the lanes are zero anyway
}

TEST(ApplyGains, is_within_half_a_step) {
  Random random(4);
  Worst worst;
  for (int i = 0; i < 2000; ++i) {
    const std::uint32_t block = 16U << random.below(3);
    Blocks blocks = random_blocks(random, block, block, 0);
    std::vector<std::int16_t> gains(block);
    for (auto& gain : gains) gain = random.between<std::int16_t>(-32768, 32767);
    std::vector<double> exact(block);
    for (std::size_t j = 0; j < block; ++j) {
      exact[j] = blocks.lane(j) * std::ldexp(gains[j], -14);
    }
    const Scale16 scale = apply_gains(blocks.values, blocks.scales[0], gains.data(), -14);
    if (scale.bits == 0 || scale.bits == kScale16Max) continue;
    for (std::size_t j = 0; j < block; ++j) {
      worst.offer(std::abs(blocks.values[j] - exact[j] / real(scale)), i);
    }
  }
  test::record("error_in_steps", worst.value);
  EXPECT_LE(worst.value, 0.5 + std::ldexp(1.0, -10));
}

TEST(ApplyGains, keeps_zeros) {
  std::vector<std::int8_t> values(32, 0);
  const std::vector<std::int16_t> gains(32, 77);
  EXPECT_EQ(apply_gains(values, Scale16{}, gains.data(), 0), Scale16{});
  EXPECT_EQ(apply_gains(values, Scale16{999}, gains.data(), 0), Scale16{});
  EXPECT_EQ(values, std::vector<std::int8_t>(32, 0));
}

TEST(AddResidual, saturates) {
  std::vector<std::int32_t> residual = {0, 5, INT32_MAX, INT32_MIN, INT32_MAX};
  const std::vector<std::int32_t> delta = {7, -9, 1, -1, INT32_MIN};
  add_residual(residual, delta.data());
  EXPECT_EQ(residual, (std::vector<std::int32_t>{7, -4, INT32_MAX, INT32_MIN, -1}));
}

}  // namespace
}  // namespace mote
