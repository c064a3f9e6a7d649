// SPDX-License-Identifier: Apache-2.0
#include "calibrate/tuned_matrix.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/calibrate/normal_numbers.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kRows = 4;
constexpr std::uint32_t kColumns = 21;  // the last block is short
constexpr std::uint32_t kBlock = 16;

/// All lanes 0; a unit of int4 is 0.125, of int8 1/128.
UnpackedMatrix zeros(WeightFormat format) {
  UnpackedMatrix numbers;
  numbers.rows = kRows;
  numbers.columns = kColumns;
  numbers.block = kBlock;
  numbers.format = format;
  numbers.values.assign(std::size_t{kRows} * kColumns, 0);
  const float factor = format == WeightFormat::int4 ? 128.0F : 1.0F;
  numbers.row_units.assign(kRows, format == WeightFormat::int4 ? 0.125F / factor : 1.0F / 128);
  for (std::size_t b = 0; b < std::size_t{kRows} * numbers.blocks(); ++b) {
    numbers.units.push_back(factor * numbers.row_units[0]);
  }
  return numbers;
}

FloatMatrix matrix_of(const std::vector<double>& weights) {
  FloatMatrix matrix = {kRows, kColumns, {}};
  for (const double weight : weights) matrix.cells.push_back(static_cast<float>(weight));
  return matrix;
}

double square_distance(const TunedMatrix& tuned, const FloatMatrix& target) {
  std::vector<float> cells;
  fill_cells(cells, tuned.numbers());
  double sum = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    sum += std::pow(double{cells[i]} - double{target.cells[i]}, 2);
  }
  return sum;
}

/// The gradient of half the square distance.
std::vector<float> gradient_to(const TunedMatrix& tuned, const FloatMatrix& target) {
  std::vector<float> cells;
  fill_cells(cells, tuned.numbers());
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] -= target.cells[i];
  return cells;
}

TEST(TunedMatrix, goes_to_where_the_gradient_says) {
  test::Random random(41);
  const FloatMatrix target = matrix_of(test::normal_numbers(random, kRows * kColumns));
  for (const WeightFormat format : {WeightFormat::int4, WeightFormat::int8}) {
    const bool is_int4 = format == WeightFormat::int4;
    // From lanes that have nothing to do with the target.
    TunedMatrix tuned(zeros(format), matrix_of(std::vector<double>(kRows * kColumns, 0)));
    const double before = square_distance(tuned, target);
    for (int i = 0; i < 4000; ++i) tuned.step(gradient_to(tuned, target), {1, 1});
    EXPECT_LT(square_distance(tuned, target), before * (is_int4 ? 0.2 : 0.25)) << is_int4;
    EXPECT_EQ(tuned.held(), 0U);
    // Factors are whole numbers from 1 to 255, lanes in range.
    for (std::size_t b = 0; b < tuned.numbers().units.size(); ++b) {
      const float factor = tuned.numbers().units[b] / tuned.numbers().row_units[0];
      EXPECT_EQ(factor, std::round(factor));
      EXPECT_TRUE(is_int4 ? factor >= 86 && factor <= 192 : factor == 1) << factor;
    }
    for (const std::int8_t value : tuned.numbers().values) {
      EXPECT_GE(value, is_int4 ? -8 : -127);
      EXPECT_LE(value, is_int4 ? 7 : 127);
    }
  }
}

TEST(TunedMatrix, begins_at_the_exact_weights_but_within_a_step_of_the_rounded) {
  // 0.7 steps above zero rounds to 1 at the first step, 40 steps only as far as there is room.
  std::vector<double> exact(kRows * kColumns, 0.7 * 0.125);
  exact[5] = 40 * 0.125;
  TunedMatrix tuned(zeros(WeightFormat::int4), matrix_of(exact));
  tuned.step(std::vector<float>(kRows * kColumns, 0), {1, 1});
  for (const std::int8_t value : tuned.numbers().values) EXPECT_EQ(value, 1);
}

/// A lane between two values that is pushed back over their middle by every step.
TEST(TunedMatrix, holds_lanes_that_go_to_and_fro) {
  const FloatMatrix target = matrix_of(std::vector<double>(kRows * kColumns, 0.5 * 0.125));
  for (const bool patient : {true, false}) {
    TunedMatrix tuned(zeros(WeightFormat::int4), target);
    const TuningPace pace = {1, patient ? 1.0F : 0.1F};
    std::size_t changes = 0;
    std::vector<std::int8_t> last = tuned.numbers().values;
    for (int i = 0; i < 600; ++i) {
      tuned.step(gradient_to(tuned, target), pace);
      if (i >= 500) changes += tuned.numbers().values != last;
      last = tuned.numbers().values;
    }
    if (patient) {
      EXPECT_EQ(tuned.held(), 0U);
      EXPECT_GT(changes, 20U);
    } else {
      EXPECT_EQ(tuned.held(), std::size_t{kRows} * kColumns);
      EXPECT_EQ(changes, 0U);
      for (const std::int8_t value : last) EXPECT_TRUE(value == 0 || value == 1) << int{value};
    }
  }
}

TEST(TunedMatrix, keeps_what_it_is_told_to) {
  test::Random random(42);
  const FloatMatrix target = matrix_of(test::normal_numbers(random, kRows * kColumns));
  TunedMatrix tuned(zeros(WeightFormat::int4), target);
  for (int i = 0; i < 10; ++i) tuned.step(gradient_to(tuned, target), {1, 1});
  tuned.keep();
  const auto kept = tuned.numbers().values;
  EXPECT_NE(kept, zeros(WeightFormat::int4).values);
  for (int i = 0; i < 1000; ++i) tuned.step(std::vector<float>(kRows * kColumns, 1), {1, 1});
  EXPECT_NE(tuned.numbers().values, kept);
  EXPECT_EQ(tuned.best().values, kept);
}

TEST(TunedMatrix, blocks_without_a_unit_stay_zero) {
  UnpackedMatrix numbers = zeros(WeightFormat::int4);
  numbers.units[1] = 0;
  const FloatMatrix target = matrix_of(std::vector<double>(kRows * kColumns, 1));
  TunedMatrix tuned(numbers, target);
  for (int i = 0; i < 50; ++i) tuned.step(gradient_to(tuned, target), {1, 1});
  EXPECT_EQ(tuned.numbers().units[1], 0);
  EXPECT_EQ(tuned.numbers().values[kBlock], 0);
}

}  // namespace
}  // namespace mote::host
