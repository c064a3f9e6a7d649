// SPDX-License-Identifier: Apache-2.0
#include "calibrate/gptq.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "calibrate/cholesky.hpp"
#include "host/calibrate/normal_numbers.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kLanes = 24;

double cost_of(const DenseMatrix& hessian, const std::vector<double>& target,
               const std::vector<std::int8_t>& values, double unit) {
  std::vector<double> error(target.size());
  for (std::size_t i = 0; i < error.size(); ++i) error[i] = target[i] - values[i] * unit;
  return quadratic_form(hessian, error);
}

TEST(Gptq, lanes_are_rounded_from_the_heaviest_to_the_lightest) {
  test::Random random(4);
  const DenseMatrix hessian = test::correlated_hessian(random, kLanes, 50, 0.01);
  const Feedback feedback = make_feedback(hessian);
  for (std::size_t p = 1; p < kLanes; ++p) {
    EXPECT_GE(hessian.at(feedback.order[p - 1], feedback.order[p - 1]),
              hessian.at(feedback.order[p], feedback.order[p]));
  }
}

/// The last lane makes up for all before it: H row . error = 0 were it not rounded.
TEST(Gptq, shares_are_those_of_the_best_answer_to_earlier_errors) {
  test::Random random(5);
  const DenseMatrix hessian = test::correlated_hessian(random, kLanes, 50, 0.01);
  const Feedback feedback = make_feedback(hessian);
  std::vector<double> error = test::normal_numbers(random, kLanes);
  const std::size_t last = feedback.order.back();
  error[last] = 0;
  double share = 0;
  for (std::size_t i = 0; i + 1 < kLanes; ++i) {
    share += feedback.shares.at(kLanes - 1, i) * error[feedback.order[i]];
  }
  error[last] = -share;
  EXPECT_NEAR(dot_product(hessian.row(last), error), 0, 1e-9);
}

TEST(Gptq, without_correlation_it_is_plain_rounding) {
  test::Random random(6);
  DenseMatrix hessian(kLanes, kLanes);
  for (std::size_t i = 0; i < kLanes; ++i) hessian.at(i, i) = 1 + static_cast<double>(i % 5);
  const auto target = test::normal_numbers(random, kLanes);
  std::vector<std::int8_t> values(kLanes);
  std::vector<double> scratch;
  const std::vector<double> units(kLanes, 0.3);
  round_with_feedback(values, target, units, make_feedback(hessian), -8, 7, scratch);
  for (std::size_t i = 0; i < kLanes; ++i) {
    EXPECT_EQ(values[i], round_to_range(target[i] / 0.3, -8, 7));
  }
}

TEST(Gptq, with_correlation_it_costs_far_less_than_plain_rounding) {
  test::Random random(7);
  double plain_cost = 0;
  double cost = 0;
  for (int row = 0; row < 50; ++row) {
    const DenseMatrix hessian = test::correlated_hessian(random, kLanes, 100, 0.01);
    const auto target = test::normal_numbers(random, kLanes);
    std::vector<std::int8_t> values(kLanes);
    std::vector<std::int8_t> plain(kLanes);
    std::vector<double> scratch;
    round_with_feedback(values, target, std::vector<double>(kLanes, 0.5), make_feedback(hessian),
                        -8, 7, scratch);
    for (std::size_t i = 0; i < kLanes; ++i) {
      plain[i] = static_cast<std::int8_t>(round_to_range(target[i] / 0.5, -8, 7));
    }
    cost += cost_of(hessian, target, values, 0.5);
    plain_cost += cost_of(hessian, target, plain, 0.5);
  }
  EXPECT_LT(cost, 0.6 * plain_cost);
}

TEST(Gptq, lane_without_a_unit_is_zero_and_its_error_is_passed_on) {
  DenseMatrix hessian(2, 2);
  hessian.at(0, 0) = 2;
  hessian.at(1, 1) = 1;
  hessian.at(0, 1) = hessian.at(1, 0) = 1;
  std::vector<std::int8_t> values(2);
  std::vector<double> scratch;
  const std::vector<double> target = {3, 0};
  const std::vector<double> units = {0, 1};
  round_with_feedback(values, target, units, make_feedback(hessian), -8, 7, scratch);
  EXPECT_EQ(values[0], 0);
  EXPECT_EQ(values[1], 3);  // cost 2 * 9 + 9 - 2 * 9 = 9, against 18 without
}

TEST(Gptq, rounding_is_half_away_from_zero_and_clipped) {
  EXPECT_EQ(round_to_range(2.5, -8, 7), 3);
  EXPECT_EQ(round_to_range(-2.5, -8, 7), -3);
  EXPECT_EQ(round_to_range(1e30, -8, 7), 7);
  EXPECT_EQ(round_to_range(-1e30, -8, 7), -8);
}

}  // namespace
}  // namespace mote::host
