// SPDX-License-Identifier: Apache-2.0
#include "calibrate/cholesky.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "host/calibrate/normal_numbers.hpp"

namespace mote::host {
namespace {

TEST(Cholesky, factor_times_itself_is_the_matrix) {
  test::Random random(1);
  for (const std::size_t n : {1U, 2U, 7U, 33U}) {
    const DenseMatrix matrix = test::correlated_hessian(random, n, n + 3, 0.1);
    const DenseMatrix lower = cholesky(matrix);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        EXPECT_NEAR(dot_product(lower.row(i), lower.row(j)), matrix.at(i, j), 1e-12);
        if (j > i) {
          EXPECT_EQ(lower.at(i, j), 0);
        }
      }
    }
  }
}

TEST(Cholesky, solves_what_it_factored) {
  test::Random random(2);
  const DenseMatrix matrix = test::correlated_hessian(random, 19, 40, 0.01);
  const std::vector<double> wanted = test::normal_numbers(random, 19);
  std::vector<double> x(19);
  for (std::size_t i = 0; i < 19; ++i) x[i] = dot_product(matrix.row(i), wanted);
  solve_cholesky(x, cholesky(matrix));
  for (std::size_t i = 0; i < 19; ++i) EXPECT_NEAR(x[i], wanted[i], 1e-9);
}

TEST(Cholesky, matrix_that_is_not_positive_definite) {
  DenseMatrix matrix(2, 2);
  EXPECT_THROW(cholesky(matrix), std::domain_error);
  matrix.at(0, 0) = matrix.at(1, 1) = 1;
  matrix.at(0, 1) = matrix.at(1, 0) = 2;
  EXPECT_THROW(cholesky(matrix), std::domain_error);
}

}  // namespace
}  // namespace mote::host
