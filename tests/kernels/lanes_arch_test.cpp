// SPDX-License-Identifier: Apache-2.0
// Operations on lanes, of each instruction set, give the bits of the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
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

/// Blocks, with one lane and one scale more, so that a write behind the last ones shows.
struct Blocks {
  std::vector<std::int8_t> lanes;
  std::vector<Scale16> scales;

  Blocks(std::size_t count, std::size_t block)
      : lanes(count + 1, 99), scales((count + block - 1) / block + 1, Scale16{0x4321}) {}
  friend bool operator==(const Blocks&, const Blocks&) = default;
};

/// In blocks of `block` lanes, each of its own unit or all of one.
void expect_same_blocks(const host::KernelSet& set, const std::vector<std::int64_t>& in,
                        std::size_t block, const std::vector<Multiplier>& units) {
  Blocks expected(in.size(), block);
  for (std::size_t first = 0, b = 0; first < in.size(); first += block, ++b) {
    const auto lanes = std::span(in).subspan(first, std::min(block, in.size() - first));
    expected.scales[b] =
        ref::quantize_block_s64_s8(&expected.lanes[first], lanes, units[units.size() == 1 ? 0 : b]);
  }
  Blocks actual(in.size(), block);
  set.quantize(actual.lanes.data(), actual.scales.data(), in, block, units);
  ASSERT_EQ(actual, expected) << in.size() << " lanes in blocks of " << block;
}

void expect_same_narrow_blocks(const host::KernelSet& set, const std::vector<std::int32_t>& in,
                               std::size_t block, Multiplier unit) {
  Blocks expected(in.size(), block);
  const std::vector<std::int64_t> wide(in.begin(), in.end());
  for (std::size_t first = 0, b = 0; first < in.size(); first += block, ++b) {
    const auto lanes = std::span(wide).subspan(first, std::min(block, in.size() - first));
    expected.scales[b] = ref::quantize_block_s64_s8(&expected.lanes[first], lanes, unit);
  }
  Blocks actual(in.size(), block);
  set.quantize_narrow(actual.lanes.data(), actual.scales.data(), in, block, unit);
  ASSERT_EQ(actual, expected) << in.size() << " lanes in blocks of " << block;
}

/// The sizes that blocks have, and others that heads have.
std::size_t any_block(Random& random) {
  constexpr std::size_t kSizes[] = {2, 6, 8, 16, 24, 32, 48, 64, 80, 256};
  return kSizes[random.below(std::size(kSizes))];
}

/// Of one to twenty blocks, the last of which may have fewer lanes.
std::size_t any_count(Random& random, std::size_t block) {
  return block * random.below(20) + 1 + random.below(block);
}

TEST(LanesArch, quantize_any_blocks_of_32_bits) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(3);
    for (int i = 0; i < 4000; ++i) {
      const std::size_t block = any_block(random);
      std::vector<std::int32_t> in(any_count(random, block));
      std::uint32_t bits = 0;
      for (std::size_t lane = 0; lane < in.size(); ++lane) {
        if (lane % block == 0) bits = 1 + static_cast<std::uint32_t>(random.below(31));
        in[lane] = static_cast<std::int32_t>(any_size(random, bits));
      }
      if (i % 7 == 0) in.back() = std::numeric_limits<std::int32_t>::min();
      const auto mantissa = static_cast<std::uint32_t>(1 + random.below(1U << 20));
      expect_same_narrow_blocks(set, in, block, {mantissa, random.between<int>(-100, 40)});
    }
  });
}

/// Blocks of lanes of so many bits, some of zeros.
std::vector<std::int64_t> any_lanes(Random& random, std::size_t block, std::uint32_t bits) {
  std::vector<std::int64_t> lanes(any_count(random, block));
  std::uint32_t some = bits;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (i % block == 0) some = static_cast<std::uint32_t>(random.below(bits + 1));
    lanes[i] = some == 0 ? 0 : any_size(random, some);
  }
  return lanes;
}

TEST(LanesArch, quantize_any_blocks) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(1);
    for (int i = 0; i < 8000; ++i) {
      const std::size_t block = any_block(random);
      const auto in = any_lanes(random, block, 62);
      // Half of them with scales that are usual.
      const int usual = i % 2 == 0 ? 60 : 0;
      std::vector<Multiplier> units(i % 3 == 0 ? 1 : (in.size() + block - 1) / block);
      for (Multiplier& unit : units) {
        unit = {static_cast<std::uint32_t>(1 + random.below(1U << 20)),
                random.between<int>(-100, 40 - usual)};
      }
      expect_same_blocks(set, in, block, units);
    }
  });
}

TEST(LanesArch, quantize_zero_and_one_lane) {
  for_each_kernel_set([](const host::KernelSet& set) {
    for (const std::size_t count : {1U, 7U, 8U, 9U, 64U}) {
      std::vector<std::int64_t> in(count);
      expect_same_blocks(set, in, count, {{1U << 19, -30}});
      in.back() = -(std::int64_t{1} << 61);
      expect_same_blocks(set, in, count, {{1U << 20, -90}});
      // The largest ratio, of a scale of one unit.
      in.assign(count, 127);
      expect_same_blocks(set, in, count, {{1U << 20, -48}});
    }
  });
}

// Every largest lane around those where the scale gets one bit more, of all sizes.
TEST(LanesArch, quantize_where_scales_carry) {
  for_each_kernel_set([](const host::KernelSet& set) {
    for (int bits = 8; bits < 62; ++bits) {
      for (std::int64_t near = -300; near <= 300; near += 20) {
        std::vector<std::int64_t> in;
        for (std::int64_t i = 0; i < 20; ++i) {
          const std::int64_t largest = (std::int64_t{127} << bits >> 7) + near + i;
          in.insert(in.end(), {largest, 1 - largest, largest / 2, 1, 0, -largest / 3, 7, -largest});
        }
        expect_same_blocks(set, in, 8, {{1U << 19, -20 - bits}});
      }
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

TEST(LanesArch, quantize_swiglu_is_swiglu_quantised) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(6);
    for (int i = 0; i < 2000; ++i) {
      const std::size_t block = std::size_t{8} << random.below(4);
      std::vector<std::int32_t> gate(any_count(random, block));
      std::vector<std::int32_t> up(gate.size());
      for (std::int32_t& lane : gate) lane = static_cast<std::int32_t>(any_size(random, 31));
      for (std::int32_t& lane : up) lane = static_cast<std::int32_t>(any_size(random, 31));
      std::vector<std::int64_t> scratch(block);
      Blocks expected(gate.size(), block);
      ref::quantize_swiglu(expected.lanes.data(), expected.scales.data(), gate, up.data(), block,
                           scratch);
      Blocks actual(gate.size(), block);
      set.quantize_swiglu(actual.lanes.data(), actual.scales.data(), gate, up.data(), block,
                          scratch);
      ASSERT_EQ(actual, expected);
    }
  });
}

// The blocks of the reference are those of its lanes.
TEST(QuantizeSwiglu, rounds_each_block_of_lanes) {
  Random random(7);
  std::vector<std::int32_t> gate(75);
  std::vector<std::int32_t> up(75);
  for (std::int32_t& lane : gate) lane = static_cast<std::int32_t>(any_size(random, 20));
  for (std::int32_t& lane : up) lane = static_cast<std::int32_t>(any_size(random, 20));
  std::vector<std::int64_t> lanes(75);
  for (std::size_t i = 0; i < 75; ++i) lanes[i] = swiglu_q36(gate[i], up[i]);
  Blocks expected(75, 32);
  for (std::size_t b = 0; b < 3; ++b) {
    expected.scales[b] = ref::quantize_block_s64_s8(
        &expected.lanes[32 * b], std::span(lanes).subspan(32 * b, b == 2 ? 11 : 32),
        {1U << 19, -19 - kHiddenFractionBits});
  }
  std::vector<std::int64_t> scratch(32);
  Blocks actual(75, 32);
  ref::quantize_swiglu(actual.lanes.data(), actual.scales.data(), gate, up.data(), 32, scratch);
  EXPECT_EQ(actual, expected);
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
