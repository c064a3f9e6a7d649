// SPDX-License-Identifier: Apache-2.0
// From wide integers to int8: the scale, the lanes, and the ends of both.
#include "kernels/quantize.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "base/fixed_point.hpp"
#include "support/lane_cases.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;
using test::real;
using test::Worst;

constexpr std::int64_t kLimit = (std::int64_t{1} << 62) - 1;

struct Block {
  std::vector<std::int8_t> values;
  Scale16 scale;
};

Block quantize(const std::vector<std::int64_t>& in, Multiplier unit) {
  Block block;
  block.values.assign(in.size(), -128);
  block.scale = quantize_block_s64_s8(block.values.data(), in, unit);
  return block;
}

int largest_lane(const Block& block) {
  int largest = 0;
  for (const std::int8_t value : block.values) largest = std::max(largest, std::abs(value));
  return largest;
}

double largest_real(const std::vector<std::int64_t>& in, Multiplier unit) {
  double largest = 0;
  for (const std::int64_t lane : in) {
    largest = std::max(largest, std::abs(static_cast<double>(lane)));
  }
  return largest * real(unit);
}

/// The worst lane error in steps of the scale, beyond those that a saturated scale clips.
double worst_step_error(const Block& block, const std::vector<std::int64_t>& in, Multiplier unit) {
  Worst worst;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const double steps = static_cast<double>(in[i]) * real(unit) / real(block.scale);
    worst.offer(std::abs(block.values[i] - std::clamp(steps, -127.0, 127.0)), steps);
  }
  return worst.value;
}

/// The smallest scale not below largest / 127, where "not below" allows 2^-24 either way.
void expect_smallest_scale(Scale16 scale, double largest) {
  const double wanted = largest / 127;
  if (scale.bits != kScale16Max) {
    EXPECT_GE(real(scale) * (1 + std::ldexp(1.0, -24)), wanted);
  }
  const Scale16 below = {static_cast<std::uint16_t>(scale.bits - 1)};
  EXPECT_LT(real(below), wanted * (1 + std::ldexp(1.0, -24)));
}

double check(const std::vector<std::int64_t>& in, Multiplier unit) {
  const Block block = quantize(in, unit);
  EXPECT_LE(largest_lane(block), 127);
  if (largest_real(in, unit) == 0) {
    EXPECT_EQ(block.scale.bits, 0);
    EXPECT_EQ(largest_lane(block), 0);
    return 0;
  }
  expect_smallest_scale(block.scale, largest_real(in, unit));
  const double error = worst_step_error(block, in, unit);
  // Lanes keep 30 bits below the largest, which matters only where the scale saturates.
  const double lost = std::ldexp(largest_real(in, unit) / real(block.scale), -30);
  EXPECT_LE(error, 0.5 + std::ldexp(1.0, -10) + lost);
  return block.scale.bits == kScale16Max ? 0 : error;
}

Multiplier random_unit(Random& random) {
  const auto mantissa = static_cast<std::uint32_t>(1 + random.awkward(random.between<int>(1, 20)));
  return {std::min(mantissa, 1U << 20), random.between<std::int32_t>(-90, 10)};
}

std::vector<std::int64_t> random_lanes(Random& random, std::size_t count, int bits) {
  std::vector<std::int64_t> in(count);
  for (std::int64_t& lane : in) lane = random.awkward_signed(bits);
  return in;
}

TEST(QuantizeBlock, awkward_lanes_and_units) {
  Random random(1);
  Worst worst;
  for (int i = 0; i < 20000; ++i) {
    const std::size_t count = 1 + random.below(64);
    worst.offer(check(random_lanes(random, count, random.between<int>(1, 62)), random_unit(random)),
                i);
  }
  test::record("error_in_steps", worst.value);
}

TEST(QuantizeBlock, normal_lanes) {
  Random random(2);
  Worst worst;
  for (int i = 0; i < 5000; ++i) {
    const double sigma = std::exp2(random.between<int>(4, 58));
    std::vector<std::int64_t> in(32);
    for (std::int64_t& lane : in) lane = static_cast<std::int64_t>(sigma * random.normal());
    worst.offer(check(in, {1U << 19, -40}), i);
  }
  test::record("error_in_steps", worst.value);
}

TEST(QuantizeBlock, all_zero) {
  for (const std::size_t count : {1U, 2U, 32U, 256U})
    check(std::vector<std::int64_t>(count), {1, 0});
}

TEST(QuantizeBlock, a_single_lane_gets_127) {
  for (int bit = 0; bit < 62; ++bit) {
    for (const std::int64_t sign : {-1, 1}) {
      const Block block = quantize({sign << bit}, {1U << 19, -19 - bit});
      EXPECT_EQ(block.values[0], 127 * sign);
      EXPECT_NEAR(real(block.scale) * 127, 1, std::ldexp(1.0, -11));
    }
  }
}

TEST(QuantizeBlock, near_the_largest_lanes) {
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    std::vector<std::int64_t> in = random_lanes(random, 16, 62);
    in[random.below(16)] = i % 2 == 0 ? kLimit : -kLimit;
    in[random.below(16)] = kLimit - static_cast<std::int64_t>(random.below(1U << 31));
    check(in, {i % 3 == 0 ? 1U << 20 : 1U, -70});
  }
}

TEST(QuantizeBlock, alternating_extremes) {
  for (const std::int64_t magnitude : {std::int64_t{1}, std::int64_t{127}, std::int64_t{1} << 31,
                                       (std::int64_t{1} << 53) - 1, kLimit}) {
    std::vector<std::int64_t> in;
    for (int i = 0; i < 64; ++i) in.push_back(i % 2 == 0 ? magnitude : -magnitude);
    const Block block = quantize(in, {1U << 19, -75});
    for (int i = 0; i < 64; ++i) {
      EXPECT_EQ(block.values[static_cast<std::size_t>(i)], block.values[0] * (i % 2 == 0 ? 1 : -1));
    }
    check(in, {1U << 19, -75});
  }
}

// A step is 2^-28 at the least: smaller blocks keep the scale 1 and lose bits.
TEST(QuantizeBlock, tiny_lanes) {
  for (int exponent = -200; exponent <= -28; ++exponent) {
    const Block block = quantize({1, -1, 3, 100}, {1, exponent});
    EXPECT_EQ(block.scale.bits, 1) << exponent;
    check({1, -1, 3, 100}, {1, exponent});
  }
  EXPECT_EQ(quantize({127, -127}, {1, -28}).values, (std::vector<std::int8_t>{127, -127}));
  EXPECT_EQ(quantize({1, -1}, {1, -29}).values, (std::vector<std::int8_t>{1, 0}));
}

TEST(QuantizeBlock, saturated_scale_clips_lanes) {
  const Block block =
      quantize({std::int64_t{1} << 40, -(std::int64_t{1} << 40), 1 << 20, 0}, {1, 0});
  EXPECT_EQ(block.scale.bits, kScale16Max);
  EXPECT_EQ(block.values[0], 127);
  EXPECT_EQ(block.values[1], -127);
  EXPECT_EQ(block.values[2], 64);
  EXPECT_EQ(block.values[3], 0);
  EXPECT_EQ(quantize({kLimit, -kLimit}, {1U << 20, 40}).values,
            (std::vector<std::int8_t>{127, -127}));
  check({kLimit, -kLimit, 5}, {1U << 20, 0});
}

TEST(QuantizeBlock, quantising_the_result_again_changes_nothing) {
  Random random(4);
  for (int i = 0; i < 5000; ++i) {
    const Block once = quantize(random_lanes(random, 32, random.between<int>(1, 50)),
                                {1U << 19, random.between<std::int32_t>(-60, -30)});
    // Scales below 256 units have so coarse steps that the largest lane may be less than 127.
    if (largest_lane(once) != 127) continue;
    std::vector<std::int64_t> lanes;
    for (const std::int8_t value : once.values) {
      lanes.push_back(value * static_cast<std::int64_t>(once.scale.value()));
    }
    const Block twice = quantize(lanes, {1, -kScaleFractionBits});
    ASSERT_EQ(twice.values, once.values);
    ASSERT_EQ(twice.scale, once.scale);
  }
}

// Rounding is half up, not away from zero: a tie goes to the same side for both signs.
TEST(QuantizeBlock, ties_round_up) {
  const Block block = quantize({254, 1, -1, 3, -3}, {1, -kScaleFractionBits});
  EXPECT_EQ(block.scale.value(), 2U);
  EXPECT_EQ(block.values, (std::vector<std::int8_t>{127, 1, 0, 2, -1}));
}

/// The arithmetic of docs/NUMERICS.md, a lane after the other in 64 bits.
Block plainly_quantize(const std::vector<std::int64_t>& in, Multiplier unit) {
  std::int64_t largest = 0;
  for (const std::int64_t lane : in) largest = std::max(largest, std::abs(lane));
  Block block;
  block.values.assign(in.size(), 0);
  if (largest == 0) return block;
  const int drop = std::max(0, significant_bits(static_cast<std::uint64_t>(largest)) - 30);
  std::uint32_t mantissa = unit.mantissa;
  int exponent = unit.exponent + drop + kScaleFractionBits;
  for (; significant_bits(mantissa) < kMultiplierBits; --exponent) mantissa *= 2;
  std::uint64_t top = static_cast<std::uint64_t>(shift_round(largest, drop)) * mantissa;
  int top_exponent = exponent;
  for (; significant_bits(top) < 31; --top_exponent) top *= 2;
  for (; significant_bits(top) > 31; top = (top + 1) / 2) ++top_exponent;
  block.scale = encode_scale_up((top + 126) / 127, top_exponent);
  const std::uint32_t ratio = (mantissa << 11) / block.scale.mantissa();
  const int shift = 11 + block.scale.exponent() - exponent;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::int64_t product = shift_round(in[i], drop) * std::int64_t{ratio};
    block.values[i] =
        static_cast<std::int8_t>(std::clamp(shift_saturate(product, shift), -127, 127));
  }
  return block;
}

std::vector<std::int64_t> lanes_of_bits(Random& random, int bits) {
  std::vector<std::int64_t> in(random.between<std::size_t>(1, 33));
  for (std::int64_t& lane : in) lane = random.awkward_signed(bits);
  if (random.below(4) == 0)
    in[0] = (random.below(2) == 0 ? 1 : -1) * ((std::int64_t{1} << bits) - 1);
  return in;
}

TEST(QuantizeBlock, gives_the_bits_of_the_plain_arithmetic) {
  Random random(11);
  for (int i = 0; i < 100000; ++i) {
    const int bits = random.between<int>(1, 61);
    const std::vector<std::int64_t> in = lanes_of_bits(random, bits);
    const Multiplier unit = {
        random.between<std::uint32_t>(1, std::int64_t{1} << random.between<int>(0, 20)),
        random.between<int>(-40, 20) - bits};
    const Block block = quantize(in, unit);
    const Block plain = plainly_quantize(in, unit);
    ASSERT_EQ(block.scale, plain.scale) << bits << " bits, round " << i;
    ASSERT_EQ(block.values, plain.values) << bits << " bits, round " << i;
  }
}

TEST(QuantizeBlock, lanes_of_32_bits_give_the_same) {
  Random random(12);
  for (int i = 0; i < 100000; ++i) {
    const int bits = random.between<int>(1, 31);
    const std::vector<std::int64_t> in = lanes_of_bits(random, bits);
    std::vector<std::int32_t> narrow(in.begin(), in.end());
    if (random.below(8) == 0) narrow[0] = std::numeric_limits<std::int32_t>::min();
    const Multiplier unit = {random.between<std::uint32_t>(1, 1 << 20),
                             random.between<int>(-40, 20) - bits};
    const Block wide = quantize({narrow.begin(), narrow.end()}, unit);
    Block block;
    block.values.assign(narrow.size(), -128);
    block.scale = quantize_block_s32_s8(block.values.data(), narrow, unit);
    ASSERT_EQ(block.scale, wide.scale) << bits << " bits, round " << i;
    ASSERT_EQ(block.values, wide.values) << bits << " bits, round " << i;
  }
}

TEST(Quantize, loops_round_as_one_lane_is_rounded) {
  for (const std::uint64_t seed : {1U, 2U, 3U})
    EXPECT_EQ(test::count_wrong_lanes(seed), 0U) << seed;
}

}  // namespace
}  // namespace mote
