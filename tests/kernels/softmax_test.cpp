// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;

constexpr std::uint32_t kOneWeight = 1U << kWeightFractionBits;

struct Weights {
  std::vector<std::uint32_t> of;
  std::uint64_t sum = 0;
};

Weights weigh(const std::vector<std::int32_t>& scores) {
  Weights weights;
  weights.of.assign(scores.begin(), scores.end());
  weights.sum = softmax_weights(weights.of, *std::ranges::max_element(scores));
  return weights;
}

std::vector<std::int32_t> random_scores(Random& random, std::size_t count, std::int32_t spread) {
  std::vector<std::int32_t> scores(count);
  for (std::int32_t& score : scores) score = random.between<std::int32_t>(-spread, spread);
  return scores;
}

TEST(SoftmaxWeights, error_is_that_of_exp2_and_one_rounding) {
  Random random(1);
  test::Worst excess;
  for (int i = 0; i < 200; ++i) {
    const auto scores = random_scores(random, 1000, 1 << random.between<int>(10, 21));
    const std::int32_t largest = *std::ranges::max_element(scores);
    const Weights weights = weigh(scores);
    for (std::size_t t = 0; t < scores.size(); ++t) {
      const double exact = std::exp2(24 + (scores[t] - largest) / 65536.0);
      // Half a unit of Q24, half a unit of exp2's Q30, and 2^-20 of the weight.
      const double bound = 0.5 + 0.5 / 64 + std::ldexp(exact, -20);
      excess.offer(std::abs(weights.of[t] - exact) - bound, scores[t]);
    }
  }
  EXPECT_LE(excess.value, 0);
}

TEST(SoftmaxWeights, sum_and_order) {
  Random random(2);
  for (const std::size_t count : {1U, 2U, 3U, 255U, 4096U, 65536U}) {
    const auto scores = random_scores(random, count, 10 << 16);
    const Weights weights = weigh(scores);
    const auto sum = std::accumulate(weights.of.begin(), weights.of.end(), std::uint64_t{0});
    EXPECT_EQ(weights.sum, sum);
    EXPECT_GE(weights.sum, kOneWeight);
    for (std::size_t t = 1; t < count; ++t) {
      const bool higher = scores[t] >= scores[t - 1];
      ASSERT_TRUE(higher ? weights.of[t] >= weights.of[t - 1] : weights.of[t] <= weights.of[t - 1]);
    }
  }
}

TEST(SoftmaxWeights, equal_scores_weigh_one_each) {
  for (const std::size_t count : {1U, 7U, 65536U}) {
    for (const std::int32_t score : {0, 5, -77777, INT32_MAX, INT32_MIN}) {
      const Weights weights = weigh(std::vector<std::int32_t>(count, score));
      EXPECT_EQ(weights.sum, std::uint64_t{count} * kOneWeight);
      EXPECT_EQ(std::ranges::count(weights.of, kOneWeight), static_cast<std::ptrdiff_t>(count));
    }
  }
}

TEST(SoftmaxWeights, extremes_of_int32) {
  const Weights weights = weigh({INT32_MIN, INT32_MAX, INT32_MIN + 1, INT32_MAX, -1, 0});
  EXPECT_EQ(weights.of, (std::vector<std::uint32_t>{0, kOneWeight, 0, kOneWeight, 0, 0}));
  EXPECT_EQ(weights.sum, 2ULL * kOneWeight);
}

// Half a unit is rounded up, so that the last one is kept a little beyond 25.
TEST(SoftmaxWeights, far_below_is_exactly_zero) {
  for (const std::int32_t largest : {0, 1 << 20, INT32_MAX, INT32_MIN + (40 << 16)}) {
    const Weights weights = weigh({largest, largest - (25 << 16), largest - (25 << 16) - (1 << 11),
                                   largest - (26 << 16), largest - (39 << 16)});
    EXPECT_EQ(weights.of, (std::vector<std::uint32_t>{kOneWeight, 1, 0, 0, 0})) << largest;
  }
}

}  // namespace
}  // namespace mote
