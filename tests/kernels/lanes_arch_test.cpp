// SPDX-License-Identifier: Apache-2.0
// Operations on lanes, of each instruction set, give the bits of the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/activation.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "support/each_kernel_set.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::for_each_kernel_set;
using test::Random;

/// A number of up to `bits` bits and a sign; small ones are as likely as large ones.
std::int64_t any_size(Random& random, std::uint32_t bits) {
  const auto value = static_cast<std::int64_t>(random.next() >> (64 - bits));
  return (value >> random.below(bits)) * (random.below(2) == 0 ? 1 : -1);
}

/// `count` + 1 lanes, so that a write behind the last one shows.
void expect_same_block(const host::KernelSet& set, const std::vector<std::int64_t>& in,
                       Multiplier unit) {
  std::vector<std::int8_t> expected(in.size() + 1, 99);
  std::vector<std::int8_t> actual(in.size() + 1, 99);
  const Scale16 scale = ref::quantize_block_s64_s8(expected.data(), in, unit);
  ASSERT_EQ(set.quantize(actual.data(), in, unit), scale);
  ASSERT_EQ(actual, expected);
}

void expect_same_narrow_block(const host::KernelSet& set, const std::vector<std::int32_t>& in,
                              Multiplier unit) {
  std::vector<std::int8_t> expected(in.size() + 1, 99);
  std::vector<std::int8_t> actual(in.size() + 1, 99);
  const Scale16 scale = ref::quantize_block_s64_s8(
      expected.data(), std::vector<std::int64_t>(in.begin(), in.end()), unit);
  ASSERT_EQ(set.quantize_narrow(actual.data(), in, unit), scale);
  ASSERT_EQ(actual, expected);
}

TEST(LanesArch, quantize_any_block_of_32_bits) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(3);
    for (int i = 0; i < 20000; ++i) {
      std::vector<std::int32_t> in(1 + random.below(i % 50 == 0 ? 256 : 64));
      const std::uint32_t bits = 1 + static_cast<std::uint32_t>(random.below(31));
      for (std::int32_t& lane : in) lane = static_cast<std::int32_t>(any_size(random, bits));
      if (i % 7 == 0) in.back() = std::numeric_limits<std::int32_t>::min();
      const auto mantissa = static_cast<std::uint32_t>(1 + random.below(1U << 20));
      expect_same_narrow_block(set, in, {mantissa, random.between<int>(-100, 40)});
    }
  });
}

TEST(LanesArch, quantize_any_block) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(1);
    for (int i = 0; i < 20000; ++i) {
      std::vector<std::int64_t> in(1 + random.below(i % 50 == 0 ? 256 : 64));
      const std::uint32_t bits = 1 + static_cast<std::uint32_t>(random.below(62));
      for (std::int64_t& lane : in) lane = any_size(random, bits);
      const auto mantissa = static_cast<std::uint32_t>(1 + random.below(1U << 20));
      expect_same_block(set, in, {mantissa, random.between<int>(-100, 40)});
    }
  });
}

TEST(LanesArch, quantize_zero_and_one_lane) {
  for_each_kernel_set([](const host::KernelSet& set) {
    for (const std::size_t count : {1U, 7U, 8U, 9U, 64U}) {
      std::vector<std::int64_t> in(count);
      expect_same_block(set, in, {1U << 19, -30});
      in.back() = -(std::int64_t{1} << 61);
      expect_same_block(set, in, {1U << 20, -90});
      // The largest ratio, of a scale of one unit.
      in.assign(count, 127);
      expect_same_block(set, in, {1U << 20, -48});
    }
  });
}

void expect_same_swiglu(const host::KernelSet& set, const std::vector<std::int32_t>& gate,
                        const std::vector<std::int32_t>& up) {
  std::vector<std::int64_t> actual(gate.size() + 1, 77);
  set.swiglu(actual.data(), gate.data(), up.data(), gate.size());
  for (std::size_t i = 0; i < gate.size(); ++i) {
    ASSERT_EQ(actual[i], swiglu_q36(gate[i], up[i])) << gate[i] << ' ' << up[i];
  }
  ASSERT_EQ(actual.back(), 77);
}

// Between -32 and 32, where the sigmoid changes, in steps smaller than those of its table.
TEST(LanesArch, swiglu_of_every_part_of_the_sigmoid) {
  for_each_kernel_set([](const host::KernelSet& set) {
    std::vector<std::int32_t> gate;
    for (std::int32_t x = -(32 << 16); x <= 32 << 16; x += 5) gate.push_back(x);
    const std::vector<std::int32_t> up(gate.size(), std::numeric_limits<std::int32_t>::min());
    expect_same_swiglu(set, gate, up);
  });
}

TEST(LanesArch, swiglu_of_any_numbers) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(2);
    for (int i = 0; i < 5000; ++i) {
      std::vector<std::int32_t> gate(1 + random.below(64));
      std::vector<std::int32_t> up(gate.size());
      for (std::int32_t& lane : gate) lane = static_cast<std::int32_t>(any_size(random, 31));
      for (std::int32_t& lane : up) lane = static_cast<std::int32_t>(any_size(random, 31));
      gate[0] = std::numeric_limits<std::int32_t>::min();
      gate.back() = std::numeric_limits<std::int32_t>::max();
      expect_same_swiglu(set, gate, up);
    }
  });
}

TEST(LanesArch, norm_factor_of_any_blocks) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(4);
    for (int i = 0; i < 3000; ++i) {
      const std::uint32_t block = 16U << random.below(3);
      const auto blocks = 1 + static_cast<std::uint32_t>(random.below(i % 10 == 0 ? 64 : 8));
      std::vector<std::int8_t> values(std::size_t{block} * blocks);
      for (std::int8_t& value : values) {
        value = i % 5 == 0 ? std::int8_t{-128} : random.between<std::int8_t>(-128, 127);
      }
      std::vector<std::uint32_t> scales(blocks);
      for (std::uint32_t& scale : scales) {
        scale = static_cast<std::uint32_t>(random.next() >> (37 + random.below(27)));
      }
      const int unit = random.between<int>(-43, -13);
      const std::uint64_t epsilon = random.next() >> (24 + random.below(40));
      const std::uint32_t dim = block * blocks;
      const Multiplier expected =
          ref::norm_factor(values.data(), scales, unit, block, dim, epsilon);
      const Multiplier actual = set.norm_factor(values.data(), scales, unit, block, dim, epsilon);
      ASSERT_EQ(actual.mantissa, expected.mantissa);
      ASSERT_EQ(actual.exponent, expected.exponent);
    }
  });
}

TEST(LanesArch, add_residual_of_any_numbers) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(5);
    for (int i = 0; i < 5000; ++i) {
      std::vector<std::int32_t> actual(1 + random.below(100));
      for (std::int32_t& lane : actual) lane = static_cast<std::int32_t>(random.next());
      std::vector<std::int32_t> delta(actual.size());
      for (std::int32_t& lane : delta) lane = static_cast<std::int32_t>(any_size(random, 31));
      actual[0] = std::numeric_limits<std::int32_t>::min();
      delta[0] = i % 2 == 0 ? -1 : 1;
      std::vector<std::int32_t> expected = actual;
      const std::size_t count = actual.size() - 1;  // the last must stay
      ref::add_residual(std::span(expected).first(count), delta.data());
      set.add_residual(std::span(actual).first(count), delta.data());
      ASSERT_EQ(actual, expected);
    }
  });
}

}  // namespace
}  // namespace mote
