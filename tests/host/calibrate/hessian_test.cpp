// SPDX-License-Identifier: Apache-2.0
#include "calibrate/hessian.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "calibrate/cholesky.hpp"
#include "host/calibrate/normal_numbers.hpp"

namespace mote::host {
namespace {

/// Means of products, term by term, of any number of tokens at once.
TEST(InputStatistics, means_of_products) {
  test::Random random(3);
  constexpr std::size_t kTokens = 11;
  const auto x = test::normal_numbers(random, kTokens * 3);
  const auto exact = test::normal_numbers(random, kTokens * 3);
  const auto missing = test::normal_numbers(random, kTokens * 2);
  InputStatistics statistics(3, 2);
  statistics.add(std::span(x).first(15), std::span(exact).first(15), std::span(missing).first(10),
                 5);
  statistics.add(std::span(x).subspan(15), std::span(exact).subspan(15),
                 std::span(missing).subspan(10), 6);
  EXPECT_EQ(statistics.tokens(), kTokens);
  const DenseMatrix hessian = statistics.hessian(0);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      double product = 0;
      double drift = 0;
      double residual = 0;
      for (std::size_t t = 0; t < kTokens; ++t) {
        product += x[t * 3 + i] * x[t * 3 + j] / kTokens;
        drift += (exact[t * 3 + i] - x[t * 3 + i]) * x[t * 3 + j] / kTokens;
        residual += missing[t * 2 + i % 2] * x[t * 3 + j] / kTokens;
      }
      EXPECT_NEAR(hessian.at(i, j), product, 1e-12);
      EXPECT_EQ(hessian.at(i, j), hessian.at(j, i));
      EXPECT_NEAR(statistics.drift().at(i, j), drift, 1e-12);
      EXPECT_NEAR(statistics.residual_drift().at(i % 2, j), residual, 1e-12);
    }
  }
}

TEST(InputStatistics, damping_is_a_share_of_the_mean_diagonal) {
  const std::vector<double> x = {1, 3};
  InputStatistics statistics(2, 0);
  statistics.add(x, x, {}, 1);
  const DenseMatrix hessian = statistics.hessian(0.1);
  EXPECT_DOUBLE_EQ(hessian.at(0, 0), 1.5);
  EXPECT_DOUBLE_EQ(hessian.at(1, 1), 9.5);
  EXPECT_DOUBLE_EQ(hessian.at(0, 1), 3);
  EXPECT_NO_THROW(cholesky(hessian));  // of rank one before
}

TEST(InputStatistics, lanes_that_are_always_zero_leave_the_unit_matrix) {
  InputStatistics statistics(3, 0);
  const std::vector<double> zeros(12);
  statistics.add(zeros, zeros, {}, 4);
  for (const auto& hessian : {statistics.hessian(0.01), InputStatistics(3, 0).hessian(0.01)}) {
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(hessian.at(i, j), i == j ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace mote::host
