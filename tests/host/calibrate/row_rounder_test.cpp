// SPDX-License-Identifier: Apache-2.0
#include "calibrate/row_rounder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "host/calibrate/normal_numbers.hpp"

namespace mote::host {
namespace {

using Numbers = std::vector<double>;

int exponent_for(const Numbers& target, WeightFormat format) {
  double largest = 0;
  for (const double lane : target) largest = std::max(largest, std::fabs(lane));
  return choose_scale_exponent(largest, format);
}

QuantizedRow round_plainly(const Numbers& target, std::uint32_t block, WeightFormat format) {
  const std::vector<float> weights(target.begin(), target.end());
  QuantizedRow row;
  const int exponent = exponent_for(target, format);
  if (format == WeightFormat::int4) {
    quantize_row_int4(row, weights, block, exponent);
  } else {
    quantize_row_int8(row, weights, exponent);
  }
  return row;
}

struct Case {
  std::size_t columns;
  std::uint32_t block;
  WeightFormat format;
};
/// One lane, less than a block, one block, a short last block, blocks of heads.
constexpr Case kCases[] = {
    {1, 16, WeightFormat::int4},  {12, 16, WeightFormat::int4}, {32, 32, WeightFormat::int4},
    {76, 32, WeightFormat::int4}, {64, 8, WeightFormat::int4},  {1, 16, WeightFormat::int8},
    {76, 32, WeightFormat::int8},
};

TEST(RowRounder, costs_never_more_than_plain_rounding) {
  test::Random random(8);
  for (const Case& c : kCases) {
    for (int trial = 0; trial < 20; ++trial) {
      const RowRounder rounder(test::correlated_hessian(random, c.columns, 2 * c.columns + 1, 0.01),
                               c.block, c.format);
      const Numbers target = test::normal_numbers(random, c.columns);
      const int exponent = exponent_for(target, c.format);
      QuantizedRow row;
      const double cost = rounder.round(row, target, exponent);
      EXPECT_NEAR(cost, rounder.cost(row, target, exponent), 1e-9);
      EXPECT_LE(cost,
                rounder.cost(round_plainly(target, c.block, c.format), target, exponent) + 1e-12)
          << c.columns << " columns, trial " << trial;
    }
  }
}

TEST(RowRounder, row_that_has_a_rounding_without_error_keeps_it) {
  test::Random random(9);
  Numbers target(64);
  for (std::size_t i = 0; i < 64; ++i) {
    target[i] = static_cast<double>(random.between<int>(-8, 7)) * (i < 32 ? 0.25 : 0.125);
  }
  target[0] = -2;
  target[40] = -1;
  const RowRounder rounder(test::correlated_hessian(random, 64, 200, 0.01), 32, WeightFormat::int4);
  QuantizedRow row;
  const double cost = rounder.round(row, target, exponent_for(target, WeightFormat::int4));
  EXPECT_LT(cost, 1e-4 * rounder.cost({std::vector<std::int8_t>(64), {0, 0}, {}}, target, 0));
}

TEST(RowRounder, row_of_zeros) {
  test::Random random(10);
  for (const WeightFormat format : {WeightFormat::int4, WeightFormat::int8}) {
    const RowRounder rounder(test::correlated_hessian(random, 40, 90, 0.01), 32, format);
    QuantizedRow row;
    EXPECT_EQ(rounder.round(row, Numbers(40), 0), 0);
    EXPECT_TRUE(std::ranges::all_of(row.values, [](int value) { return value == 0; }));
  }
}

/// Lanes that no vector ever had take part in no product; they must still be sane numbers.
TEST(RowRounder, dead_columns) {
  test::Random random(11);
  DenseMatrix hessian = test::correlated_hessian(random, 48, 100, 0);
  for (std::size_t dead = 8; dead < 40; ++dead) {
    for (std::size_t i = 0; i < 48; ++i) hessian.at(dead, i) = hessian.at(i, dead) = 0;
  }
  for (std::size_t i = 0; i < 48; ++i) hessian.at(i, i) += 0.001;
  const RowRounder rounder(hessian, 16, WeightFormat::int4);
  const Numbers target = test::normal_numbers(random, 48);
  const int exponent = exponent_for(target, WeightFormat::int4);
  QuantizedRow row;
  const double cost = rounder.round(row, target, exponent);
  EXPECT_LE(cost, rounder.cost(round_plainly(target, 16, WeightFormat::int4), target, exponent));
  for (std::size_t i = 8; i < 40; ++i) {
    EXPECT_NEAR(dequantize(row, i, 16, exponent), target[i], std::max(0.5, std::fabs(target[i])));
  }
}

/// All vectors the same: one product has to be right, the lanes need not.
TEST(RowRounder, hessian_of_rank_one) {
  test::Random random(12);
  const Numbers x = test::normal_numbers(random, 32);
  DenseMatrix hessian(32, 32);
  for (std::size_t i = 0; i < 32; ++i) {
    for (std::size_t j = 0; j < 32; ++j) hessian.at(i, j) = x[i] * x[j] + (i == j ? 1e-4 : 0);
  }
  const RowRounder rounder(hessian, 32, WeightFormat::int4);
  const Numbers target = test::normal_numbers(random, 32);
  const int exponent = exponent_for(target, WeightFormat::int4);
  QuantizedRow row;
  EXPECT_LT(rounder.round(row, target, exponent),
            0.05 * rounder.cost(round_plainly(target, 32, WeightFormat::int4), target, exponent));
}

TEST(RowRounder, the_same_row_gives_the_same_numbers) {
  test::Random random(13);
  const DenseMatrix hessian = test::correlated_hessian(random, 64, 200, 0.01);
  const Numbers target = test::normal_numbers(random, 64);
  QuantizedRow rows[2];
  for (QuantizedRow& row : rows) {
    RowRounder(hessian, 32, WeightFormat::int4).round(row, target, -45);
  }
  EXPECT_EQ(rows[0].values, rows[1].values);
  EXPECT_EQ(rows[0].factors, rows[1].factors);
  EXPECT_EQ(rows[0].scale, rows[1].scale);
}

}  // namespace
}  // namespace mote::host
