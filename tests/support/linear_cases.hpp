// SPDX-License-Identifier: Apache-2.0
// Rows of sums of all sizes, by which the loops of linear attention are compared with the
// arithmetic of one sum. Without heap and library, so that boards run it too
// (ports/common/kernel_bench.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "attention/linear_steps.hpp"
#include "base/fixed_point.hpp"
#include "support/lane_cases.hpp"
#include "support/random.hpp"

namespace mote::test {

inline constexpr std::size_t kMostSums = 33;

/// Sums, some of whose lower words any addition carries out of.
inline void draw_sums(Random& random, std::span<std::int64_t> sums) {
  const auto bits = static_cast<std::uint32_t>(random.between(20, 61));
  for (std::int64_t& sum : sums) {
    sum = number_of_any_size(random, bits);
    if (random.below(8) == 0) sum |= 0xffffffff;
  }
}

/// Whether decay_and_add gives the sums of the plain arithmetic, and no more.
inline bool is_row_right(Random& random) {
  std::array<std::int64_t, kMostSums + 1> sums;
  std::array<std::uint32_t, kMostSums> features;
  std::array<std::int64_t, kMostSums + 1> expected;
  const std::size_t count = 1 + index_below(random, kMostSums);
  draw_sums(random, sums);
  expected = sums;
  const auto lane = static_cast<std::int32_t>(number_of_any_size(random, 19));
  const auto decay = static_cast<std::uint32_t>(random.below(1U << 16));
  const int shift = random.below(2) == 0 ? 0 : random.between<int>(0, 31);
  for (std::size_t i = 0; i < count; ++i) {
    features[i] = static_cast<std::uint32_t>(number_of_any_size(random, 31)) & 0x7fffffff;
    expected[i] = decayed(sums[i], decay) + shift_round(std::int64_t{lane} * features[i], shift);
  }
  decay_and_add(sums.data(), features.data(), lane, shift, decay, count);
  return sums == expected;
}

/// Whether dot_two_features adds up all products.
inline bool is_dot_right(Random& random) {
  std::array<std::int64_t, kMostSums> sums;
  std::array<std::uint32_t, 2 * kMostSums> features;
  const std::size_t count = 1 + index_below(random, kMostSums);
  draw_sums(random, sums);
  WideSum totals[2];
  WideSum expected[2] = {};
  const std::uint64_t most = ((std::uint64_t{1} << 31) - 1) / count;
  for (std::size_t i = 0; i < 2 * count; ++i) {
    features[i] = static_cast<std::uint32_t>(random.below(8) == 0 ? most : random.below(most + 1));
    WideSum& total = expected[i % 2];
    total.high += (sums[i / 2] >> 32) * features[i];
    total.low += std::uint64_t{static_cast<std::uint32_t>(sums[i / 2])} * features[i];
  }
  dot_two_features(totals, sums.data(), features.data(), count);
  bool is_right = true;
  for (int h = 0; h < 2; ++h) {
    is_right = is_right && totals[h].high == expected[h].high && totals[h].low == expected[h].low;
  }
  return is_right;
}

/// Cases that differ.
///   every  1 for all cases, n for each n-th of them, where computing is slow
inline std::uint32_t count_wrong_sums(std::uint64_t seed, std::uint32_t every = 1) {
  Random random(seed);
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < 2000; i += every) {
    wrong += (is_row_right(random) ? 0 : 1) + (is_dot_right(random) ? 0 : 1);
  }
  return wrong;
}

}  // namespace mote::test
