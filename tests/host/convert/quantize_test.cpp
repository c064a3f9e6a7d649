// SPDX-License-Identifier: Apache-2.0
#include "convert/quantize.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace mote::host {
namespace {

using Weights = std::vector<float>;

Weights random_weights(std::uint32_t seed, std::size_t count, float deviation) {
  std::mt19937 generator(seed);
  Weights weights(count);
  // Sums of uniform numbers, so that the same numbers come out of every standard library.
  for (float& weight : weights) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(generator()) * 0x1p-32;
    weight = static_cast<float>(sum) * deviation;
  }
  return weights;
}

float largest(const Weights& weights) {
  float result = 0;
  for (const float weight : weights) result = std::max(result, std::fabs(weight));
  return result;
}

double relative_rms(const QuantizedRow& row, const Weights& weights, std::uint32_t block,
                    int exponent) {
  double error = 0;
  double square = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double difference = dequantize(row, i, block, exponent) - weights[i];
    error += difference * difference;
    square += static_cast<double>(weights[i]) * weights[i];
  }
  return std::sqrt(error / square);
}

double unit_of(const QuantizedRow& row, int exponent) {
  return std::ldexp(static_cast<double>(row.scale.value()), exponent);
}

void expect_int8_bound(const Weights& weights, int exponent) {
  QuantizedRow row;
  quantize_row_int8(row, weights, exponent);
  const double unit = unit_of(row, exponent);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    ASSERT_NE(row.values[i], -128);
    ASSERT_LE(std::fabs(dequantize(row, i, 1, exponent) - weights[i]), unit * 0.500001);
  }
}

TEST(quantize, nearest_scale_is_exact_to_twelve_bits) {
  EXPECT_EQ(nearest_scale(0).value(), 0u);
  EXPECT_EQ(nearest_scale(0.4).value(), 0u);
  EXPECT_EQ(nearest_scale(0.5).value(), 1u);
  EXPECT_EQ(nearest_scale(4095).value(), 4095u);
  EXPECT_EQ(nearest_scale(4097).value(), 4098u);
  EXPECT_EQ(nearest_scale(8191).value(), 8192u);
  EXPECT_EQ(nearest_scale(0x1p42).value(), std::uint64_t{4095} << 30);
  EXPECT_EQ(nearest_scale(1e300).value(), std::uint64_t{4095} << 30);
  for (double value = 2048; value < 4e12; value *= 1.37) {
    const auto decoded = static_cast<double>(nearest_scale(value).value());
    EXPECT_LE(std::fabs(decoded - value), value * 0x1p-12) << value;
  }
}

TEST(quantize, normalized_scales_fill_the_top_octave_and_stay_the_same) {
  std::vector<Scale16> scales = {{0}, {1}, {77}, {2047}, {2048}, {9000}};
  const std::vector<Scale16> before = scales;
  const int exponent = normalize_scales(scales, -10);
  EXPECT_GE(scales.back().value(), std::uint64_t{1} << 41);
  for (std::size_t i = 0; i < scales.size(); ++i) {
    EXPECT_EQ(std::ldexp(static_cast<double>(scales[i].value()), exponent),
              std::ldexp(static_cast<double>(before[i].value()), -10));
  }
}

TEST(quantize, normalized_exponent_stays_in_its_byte) {
  std::vector<Scale16> scales = {{1}};
  EXPECT_EQ(normalize_scales(scales, -125), -128);
  EXPECT_EQ(scales[0].value(), 8u);
  scales = {{0}};
  EXPECT_EQ(normalize_scales(scales, -125), 0);
}

TEST(quantize, int8_error_is_at_most_half_a_step) {
  for (const float deviation : {1.0F, 0.02F, 1e-20F, 1e20F}) {
    for (const std::size_t count : {1U, 2U, 64U, 65U, 1000U}) {
      const Weights weights = random_weights(7, count, deviation);
      expect_int8_bound(weights, choose_scale_exponent(largest(weights), WeightFormat::int8));
    }
  }
}

TEST(quantize, int8_of_normal_weights_is_below_one_percent) {
  const Weights weights = random_weights(3, 64, 0.1F);
  const int exponent = choose_scale_exponent(largest(weights), WeightFormat::int8);
  QuantizedRow row;
  quantize_row_int8(row, weights, exponent);
  EXPECT_LT(relative_rms(row, weights, 1, exponent), 0.008);
}

TEST(quantize, int8_keeps_small_rows_beside_large_ones) {
  const int exponent = choose_scale_exponent(1.0, WeightFormat::int8);
  for (const float deviation : {1e-2F, 1e-4F, 1e-6F}) {
    const Weights weights = random_weights(5, 64, deviation);
    QuantizedRow row;
    quantize_row_int8(row, weights, exponent);
    EXPECT_GE(row.scale.value(), 2048u);
    EXPECT_LT(relative_rms(row, weights, 1, exponent), 0.01) << deviation;
  }
}

TEST(quantize, a_row_of_zeros_has_scale_zero) {
  QuantizedRow row;
  quantize_row_int8(row, Weights(40, 0.0F), -30);
  EXPECT_EQ(row.scale.value(), 0u);
  EXPECT_EQ(row.values, std::vector<std::int8_t>(40, 0));
  quantize_row_int4(row, Weights(40, -0.0F), 32, -30);
  EXPECT_EQ(row.scale.value(), 0u);
  EXPECT_EQ(row.values, std::vector<std::int8_t>(40, 0));
  EXPECT_EQ(row.factors, std::vector<std::uint8_t>(2, 0));
  EXPECT_EQ(choose_scale_exponent(0, WeightFormat::int8), 0);
}

TEST(quantize, extremes_of_float_stay_in_range) {
  const float huge = std::numeric_limits<float>::max();
  const float tiny = std::numeric_limits<float>::denorm_min();
  for (const Weights& weights : {Weights{huge, -huge, 1, 0}, Weights{tiny, -tiny, 0, tiny},
                                 Weights{huge, tiny, -tiny, -1}}) {
    for (const WeightFormat format : {WeightFormat::int8, WeightFormat::int4}) {
      const int exponent = choose_scale_exponent(largest(weights), format);
      EXPECT_GE(exponent, -128);
      EXPECT_LE(exponent, 127);
      QuantizedRow row;
      if (format == WeightFormat::int8) {
        quantize_row_int8(row, weights, exponent);
      } else {
        quantize_row_int4(row, weights, 2, exponent);
      }
      for (std::size_t i = 0; i < weights.size(); ++i) {
        EXPECT_LE(std::fabs(dequantize(row, i, 2, exponent) - weights[i]), largest(weights));
      }
    }
  }
}

TEST(quantize, int4_error_is_at_most_a_step_of_its_block) {
  const std::uint32_t block = 32;
  for (const float deviation : {1.0F, 0.02F, 1e-20F, 1e20F}) {
    const Weights weights = random_weights(11, 172, deviation);
    const int exponent = choose_scale_exponent(largest(weights), WeightFormat::int4);
    QuantizedRow row;
    quantize_row_int4(row, weights, block, exponent);
    ASSERT_EQ(row.factors.size(), 6u);
    EXPECT_GE(*std::max_element(row.factors.begin(), row.factors.end()), 250);
    EXPECT_LT(relative_rms(row, weights, block, exponent), 0.11);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      ASSERT_GE(row.values[i], -8);
      ASSERT_LE(row.values[i], 7);
      const double step = row.factors[i / block] * unit_of(row, exponent);
      // Half a step inside the range; the search may clip the ends by a few steps.
      const bool clipped = row.values[i] == -8 || row.values[i] == 7;
      ASSERT_LE(std::fabs(dequantize(row, i, block, exponent) - weights[i]),
                step * (clipped ? 4 : 0.500001));
    }
  }
}

TEST(quantize, int4_beats_the_scale_that_just_covers_a_block) {
  double covering_error = 0;
  double searched_error = 0;
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    const Weights weights = random_weights(seed, 32, 1);
    const int exponent = choose_scale_exponent(largest(weights), WeightFormat::int4);
    QuantizedRow row;
    quantize_row_int4(row, weights, 32, exponent);
    const double step = largest(weights) / 7.0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      covering_error += std::pow(std::round(weights[i] / step) * step - weights[i], 2);
      searched_error += std::pow(dequantize(row, i, 32, exponent) - weights[i], 2);
    }
  }
  EXPECT_LT(std::sqrt(searched_error / covering_error), 0.92);
}

TEST(quantize, int4_of_representable_weights_is_nearly_exact) {
  Weights weights;
  for (int i = 0; i < 64; ++i) {
    weights.push_back(static_cast<float>((i * 5) % 16 - 8) * (i < 32 ? 1.0F : 0.5F));
  }
  const int exponent = choose_scale_exponent(8, WeightFormat::int4);
  QuantizedRow row;
  quantize_row_int4(row, weights, 32, exponent);
  EXPECT_LT(relative_rms(row, weights, 32, exponent), 0.005);
}

TEST(quantize, int4_of_one_sided_blocks_uses_their_side) {
  QuantizedRow row;
  const int exponent = choose_scale_exponent(8, WeightFormat::int4);
  quantize_row_int4(row, {{-8, -4, -2, 0}}, 4, exponent);
  EXPECT_EQ(row.values[0], -8);
  EXPECT_EQ(row.values[3], 0);
  quantize_row_int4(row, {{7, 4, 2, 0}}, 4, exponent);
  EXPECT_EQ(row.values[0], 7);
}

}  // namespace
}  // namespace mote::host
