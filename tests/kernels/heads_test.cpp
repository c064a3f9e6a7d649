// SPDX-License-Identifier: Apache-2.0
#include "kernels/heads.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/hadamard.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rope.hpp"
#include "support/each_kernel_set.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::for_each_kernel_set;
using test::Random;

constexpr std::uint32_t kSizes[] = {2,  4,  6,  8,  10, 14, 16,  18,  24,  32,
                                    40, 48, 62, 64, 80, 96, 128, 130, 200, 256};

/// Lanes of up to `bits` bits, and now and then the largest ones.
std::vector<std::int32_t> draw_lanes(Random& random, std::size_t count, std::uint32_t bits) {
  std::vector<std::int32_t> lanes(count);
  for (std::int32_t& lane : lanes) {
    lane = static_cast<std::int32_t>(random.next()) >> (32 - bits);
    if (bits == 32 && random.below(8) == 0) {
      lane = random.below(2) == 0 ? std::numeric_limits<std::int32_t>::min()
                                  : std::numeric_limits<std::int32_t>::max();
    }
  }
  return lanes;
}

/// A frequency near 2^32 / 4 n leads to the ends of quarter turns.
std::vector<std::uint32_t> draw_frequencies(Random& random, std::uint32_t head_size) {
  std::vector<std::uint32_t> frequencies(head_size / 2);
  for (std::uint32_t& frequency : frequencies) {
    frequency = static_cast<std::uint32_t>(random.next());
    if (random.below(3) == 0) {
      frequency = (frequency & 0xc0000000U) + random.between<std::uint32_t>(0, 2) - 1;
    }
  }
  return frequencies;
}

TEST(RotateHeads, is_rotate_pairs_of_each_head) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(1);
    for (const std::uint32_t head_size : kSizes) {
      for (std::uint32_t heads = 1; heads <= 5; ++heads) {
        for (const std::uint32_t bits : {32U, 24U}) {
          const auto frequencies = draw_frequencies(random, head_size);
          const auto position = bits == 32 ? 1U : static_cast<std::uint32_t>(random.below(65536));
          std::vector<std::int32_t> actual =
              draw_lanes(random, std::size_t{heads} * head_size + 1, bits);
          std::vector<std::int32_t> expected = actual;
          for (std::uint32_t h = 0; h < heads; ++h) {
            rotate_pairs(std::span(expected).subspan(std::size_t{h} * head_size, head_size),
                         frequencies.data(), position);
          }
          set.rotate_heads(std::span(actual).first(actual.size() - 1), head_size,
                           frequencies.data(), position);
          ASSERT_EQ(actual, expected) << head_size << ' ' << heads;
        }
      }
    }
  });
}

/// Of heads side by side, with one lane and one scale more.
void expect_transformed(const host::KernelSet& set, std::vector<std::int32_t> heads,
                        std::size_t head_size, Multiplier unit) {
  const std::size_t count = heads.size() / head_size;
  std::vector<std::int8_t> expected(heads.size() + 1, 99);
  std::vector<Scale16> expected_scales(count + 1, Scale16{0x4321});
  for (std::size_t h = 0; h < count; ++h) {
    const auto head = std::span(heads).subspan(h * head_size, head_size);
    std::vector<std::int64_t> wide(head.begin(), head.end());
    hadamard_transform(wide);
    expected_scales[h] = ref::quantize_block_s64_s8(&expected[h * head_size], wide, unit);
  }
  std::vector<std::int8_t> actual(heads.size() + 1, 99);
  std::vector<Scale16> scales(count + 1, Scale16{0x4321});
  std::vector<std::int64_t> scratch(head_size);
  set.quantize_heads(actual.data(), scales.data(), heads, head_size, scratch, unit);
  ASSERT_EQ(scales, expected_scales) << count << " of " << head_size;
  ASSERT_EQ(actual, expected) << count << " of " << head_size;
}

TEST(QuantizeTransformed, is_the_transform_rounded) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(2);
    for (const std::uint32_t head_size : kSizes) {
      for (int i = 0; i < 200; ++i) {
        std::vector<std::int32_t> heads;
        for (std::uint64_t left = 1 + random.below(i % 4 == 0 ? 20 : 9); left > 0; --left) {
          const auto bits = static_cast<std::uint32_t>(random.below(33));
          const auto head = draw_lanes(random, head_size, std::max(bits, 1U));
          if (bits == 0) {
            heads.resize(heads.size() + head_size);
          } else {
            heads.insert(heads.end(), head.begin(), head.end());
          }
        }
        const auto mantissa = static_cast<std::uint32_t>(1 + random.below(1U << 20));
        expect_transformed(set, heads, head_size, {mantissa, random.between<int>(-80, 20)});
      }
      expect_transformed(set, std::vector<std::int32_t>(head_size), head_size, {1U << 19, -39});
      expect_transformed(
          set, std::vector<std::int32_t>(head_size, std::numeric_limits<std::int32_t>::min()),
          head_size, {1U << 20, -60});
    }
  });
}

}  // namespace
}  // namespace mote
