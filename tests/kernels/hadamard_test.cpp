// SPDX-License-Identifier: Apache-2.0
#include "kernels/hadamard.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <vector>

#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Int128;
using test::Random;
using Lanes = std::vector<std::int64_t>;

/// Every size of a head: the powers of two, and sizes that they only divide.
constexpr std::uint32_t kHeadSizes[] = {1,  2,  4,  6,  8,  14,  16,  24,  32,
                                        40, 48, 64, 80, 96, 128, 192, 254, 256};

Lanes random_lanes(Random& random, std::size_t count, int bits) {
  Lanes lanes(count);
  for (std::int64_t& lane : lanes) lane = random.awkward_signed(bits);
  return lanes;
}

Lanes transformed(Lanes lanes) {
  hadamard_transform(lanes);
  return lanes;
}

Int128 dot(const Lanes& a, const Lanes& b) {
  Int128 sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += Int128{a[i]} * b[i];
  return sum;
}

TEST(HadamardWidth, is_the_largest_power_of_two_that_divides) {
  for (std::uint32_t size = 1; size <= 256; ++size) {
    const std::uint32_t width = hadamard_width(size);
    EXPECT_TRUE(std::has_single_bit(width));
    EXPECT_EQ(size % width, 0U);
    EXPECT_NE(size % (2 * width), 0U);
  }
  EXPECT_EQ(hadamard_width(24), 8U);
  EXPECT_EQ(hadamard_width(80), 16U);
}

TEST(HadamardTransform, equals_the_matrix_by_its_definition) {
  Random random(1);
  for (const std::uint32_t size : kHeadSizes) {
    const std::uint32_t width = hadamard_width(size);
    const Lanes lanes = random_lanes(random, size, 50);
    const Lanes actual = transformed(lanes);
    for (std::uint32_t i = 0; i < size; ++i) {
      // In natural order H(i, j) is -1 to the number of ones that i and j share.
      const std::uint32_t first = i / width * width;
      std::int64_t expected = 0;
      for (std::uint32_t j = 0; j < width; ++j) {
        const bool negative = std::popcount((i - first) & j) % 2 != 0;
        expected += negative ? -lanes[first + j] : lanes[first + j];
      }
      ASSERT_EQ(actual[i], expected) << "head size " << size << ", lane " << i;
    }
  }
}

TEST(HadamardTransform, twice_is_the_width_times_the_input) {
  Random random(2);
  for (const std::uint32_t size : kHeadSizes) {
    const Lanes lanes = random_lanes(random, size, 46);
    const Lanes twice = transformed(transformed(lanes));
    for (std::uint32_t i = 0; i < size; ++i) {
      ASSERT_EQ(twice[i], lanes[i] * hadamard_width(size)) << "head size " << size;
    }
  }
}

TEST(HadamardTransform, keeps_dot_products_times_the_width) {
  Random random(3);
  for (const std::uint32_t size : kHeadSizes) {
    const Lanes a = random_lanes(random, size, 54);
    const Lanes b = random_lanes(random, size, 40);
    EXPECT_EQ(dot(transformed(a), transformed(b)), dot(a, b) * hadamard_width(size))
        << "head size " << size;
  }
}

TEST(HadamardTransform, the_largest_lanes_do_not_overflow) {
  constexpr std::int64_t kLargest = (std::int64_t{1} << 54) - 1;
  const Lanes sums = transformed(Lanes(256, -kLargest));
  EXPECT_EQ(sums[0], -256 * kLargest);
  EXPECT_EQ(sums[255], 0);
}

TEST(HadamardTransform, spreads_one_large_lane_over_all) {
  Lanes lanes(64);
  lanes[37] = 1 << 20;
  for (const std::int64_t lane : transformed(lanes)) EXPECT_EQ(std::abs(lane), 1 << 20);
}

TEST(HadamardTransform, an_empty_head_stays_empty) {
  hadamard_transform(std::span<std::int64_t>());
}

TEST(HadamardTransform, lanes_of_32_bits_give_the_same) {
  Random random(5);
  for (const std::uint32_t size : kHeadSizes) {
    const int bits = 31 - std::countr_zero(hadamard_width(size));
    Lanes lanes = random_lanes(random, size, bits);
    lanes[0] = (std::int64_t{1} << bits) - 1;
    std::vector<std::int32_t> narrow(lanes.begin(), lanes.end());
    hadamard_transform(std::span<std::int32_t>(narrow));
    EXPECT_EQ(Lanes(narrow.begin(), narrow.end()), transformed(lanes)) << size;
  }
}

}  // namespace
}  // namespace mote
