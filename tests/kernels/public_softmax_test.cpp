// SPDX-License-Identifier: Apache-2.0
// What mote/softmax.hpp promises, property by property.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "mote/softmax.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;

constexpr std::uint32_t kOne = 1U << kSoftmaxFractionBits;
const std::vector<std::size_t> kCounts = {1,   2,    3,    5,    7,     31,    64,    253,
                                          254, 1000, 4095, 4096, 10000, 32768, 65535, 65536};

std::vector<std::uint32_t> weigh(const std::vector<std::int32_t>& scores, int fraction_bits = 16) {
  std::vector<std::uint32_t> weights(scores.size(), 0xdeadbeefU);
  softmax_s32_u32(weights, scores, fraction_bits);
  return weights;
}

std::vector<std::int32_t> random_scores(Random& random, std::size_t count, std::int64_t spread) {
  std::vector<std::int32_t> scores(count);
  for (std::int32_t& score : scores) score = random.between<std::int32_t>(-spread, spread);
  return scores;
}

/// |sum - one| in units of 2^-31.
double missing(const std::vector<std::uint32_t>& weights) {
  const auto sum = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  return static_cast<double>(std::abs(sum - std::int64_t{kOne}));
}

void expect_sum_of_one(const std::vector<std::uint32_t>& weights) {
  ASSERT_LE(missing(weights), static_cast<double>(weights.size()) / 2 + 1)
      << weights.size() << " scores";
  ASSERT_LE(missing(weights), 65536.0) << "one unit of 2^-15";
  if (weights.size() <= 254) {
    ASSERT_LE(missing(weights), 128.0) << "one unit of 2^-24";
  }
}

TEST(Softmax, weights_sum_to_one_within_the_stated_unit) {
  Random random(1);
  double worst = 0;
  for (const std::size_t count : kCounts) {
    for (int bits = 0; bits <= 31; bits += 1 + static_cast<int>(count / 1000)) {
      const auto weights = weigh(random_scores(random, count, std::int64_t{1} << bits));
      expect_sum_of_one(weights);
      worst = std::max(worst, missing(weights));
    }
  }
  test::record("worst_units_of_q31", worst);
}

TEST(Softmax, equal_scores_have_equal_weights) {
  for (std::size_t count = 1; count <= kMaxSoftmaxScores; count += 1 + count / 5) {
    for (const std::int32_t score : {0, 5, -77777, INT32_MAX, INT32_MIN + 1}) {
      const auto weights = weigh(std::vector<std::int32_t>(count, score));
      ASSERT_EQ(std::ranges::count(weights, weights[0]), static_cast<std::ptrdiff_t>(count));
      expect_sum_of_one(weights);
    }
  }
}

TEST(Softmax, powers_of_two_of_equal_scores_share_one_exactly) {
  for (std::uint32_t count = 1; count <= kMaxSoftmaxScores; count *= 2) {
    const auto weights = weigh(std::vector<std::int32_t>(count, -3));
    ASSERT_EQ(std::ranges::count(weights, kOne / count), static_cast<std::ptrdiff_t>(count));
  }
}

TEST(Softmax, order_is_kept_and_equal_scores_stay_equal_in_company) {
  Random random(2);
  for (const int fraction_bits : {0, 3, 16, 24, 31}) {
    for (int i = 0; i < 40; ++i) {
      auto scores = random_scores(random, 600, std::int64_t{1} << random.below(32));
      for (std::size_t t = 0; t < 50; ++t) scores[random.below(600)] = scores[random.below(600)];
      std::ranges::sort(scores);
      const auto weights = weigh(scores, fraction_bits);
      ASSERT_TRUE(std::ranges::is_sorted(weights));
      for (std::size_t t = 1; t < scores.size(); ++t) {
        ASSERT_TRUE(scores[t] != scores[t - 1] || weights[t] == weights[t - 1]);
      }
    }
  }
}

TEST(Softmax, neighbours_that_differ_by_one_unit_keep_their_order) {
  std::vector<std::int32_t> scores(65536);
  std::iota(scores.begin(), scores.end(), -65535);
  EXPECT_TRUE(std::ranges::is_sorted(weigh(scores, 12)));
  EXPECT_TRUE(std::ranges::is_sorted(weigh(scores, 16)));
}

TEST(Softmax, masked_scores_have_exactly_no_weight) {
  Random random(3);
  for (const std::size_t count : kCounts) {
    const auto open = random_scores(random, count, 10 << 16);
    if (2 * count > kMaxSoftmaxScores) continue;
    const auto expected = weigh(open);
    // Masked scores between the others change nothing.
    std::vector<std::int32_t> scores;
    std::vector<std::uint32_t> wanted;
    for (std::size_t t = 0; t < count; ++t) {
      scores.insert(scores.end(), {kMaskedScore, open[t]});
      wanted.insert(wanted.end(), {0, expected[t]});
    }
    ASSERT_EQ(weigh(scores), wanted) << count;
  }
  // The lowest score that is one is not the mask, however close.
  EXPECT_EQ(weigh({INT32_MIN + 1, kMaskedScore}, 31), (std::vector<std::uint32_t>{kOne, 0}));
  EXPECT_EQ(weigh({INT32_MIN + 1, kMaskedScore, INT32_MIN + 1}, 31),
            (std::vector<std::uint32_t>{kOne / 2, 0, kOne / 2}));
}

TEST(Softmax, all_masked_is_all_zero) {
  for (const std::size_t count : {1U, 3U, 65536U}) {
    const auto weights = weigh(std::vector<std::int32_t>(count, kMaskedScore));
    ASSERT_EQ(std::ranges::count(weights, 0U), static_cast<std::ptrdiff_t>(count));
  }
  EXPECT_TRUE(weigh({}).empty());
}

TEST(Softmax, extremes_of_int32) {
  for (const int fraction_bits : {0, 16, 26}) {
    EXPECT_EQ(weigh({INT32_MIN + 1, INT32_MAX, 0, INT32_MAX, -1}, fraction_bits),
              (std::vector<std::uint32_t>{0, kOne / 2, 0, kOne / 2, 0}));
  }
  // In Q31 the two ends are 2 apart: 1 / (1 + e^-2).
  const auto weights = weigh({INT32_MAX, INT32_MIN + 1}, 31);
  EXPECT_NEAR(weights[0], kOne / (1 + std::exp(-2.0)), kOne * 1e-5);
  EXPECT_NEAR(weights[1], kOne / (1 + std::exp(2.0)), kOne * 1e-5);
}

TEST(Softmax, far_below_is_exactly_zero) {
  const std::int32_t largest = 1 << 20;
  const auto at = [&](double below) {
    return weigh({largest, largest - static_cast<std::int32_t>(below * 65536)})[1];
  };
  EXPECT_GT(at(20.5), 0U);
  EXPECT_EQ(at(21.5), 0U);
  EXPECT_EQ(at(4000), 0U);
}

/// The worst |weight - exact| as a part of the stated bound.
double part_of_bound(const std::vector<std::int32_t>& scores, int fraction_bits) {
  const auto weights = weigh(scores, fraction_bits);
  const std::int64_t largest = *std::ranges::max_element(scores);
  std::vector<double> exact;
  double sum = 0;
  for (const std::int32_t score : scores) {
    exact.push_back(std::exp(std::ldexp(static_cast<double>(score - largest), -fraction_bits)));
    sum += exact.back();
  }
  double worst = 0;
  for (std::size_t t = 0; t < scores.size(); ++t) {
    const double wanted = exact[t] / sum * kOne;
    const double bound = std::ldexp(wanted, -16) + std::ldexp(kOne / sum, -30) + 1;
    worst = std::max(worst, std::abs(weights[t] - wanted) / bound);
  }
  return worst;
}

TEST(Softmax, error_is_within_the_stated_bound) {
  Random random(4);
  test::Worst worst;
  for (int i = 0; i < 400; ++i) {
    const std::size_t count = 1 + random.below(i % 10 == 0 ? 65536 : 600);
    const int fraction_bits = random.between<int>(0, 31);
    const std::int64_t spread = std::int64_t{1} << random.between<int>(0, 31);
    auto scores = random_scores(random, count, spread - 1);
    worst.offer(part_of_bound(scores, fraction_bits), i);
  }
  test::record("part_of_the_stated_bound", worst.value);
  EXPECT_LE(worst.value, 1) << "case " << worst.where;
}

}  // namespace
}  // namespace mote
