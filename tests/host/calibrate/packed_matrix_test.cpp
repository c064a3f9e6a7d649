// SPDX-License-Identifier: Apache-2.0
#include "calibrate/packed_matrix.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/calibrate/normal_numbers.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kRows = 5;
constexpr std::uint32_t kColumns = 43;  // the last block is short

TensorSource random_source(const std::vector<double>& weights) {
  TensorSource source;
  source.label = "matrix";
  source.rows = kRows;
  source.columns = kColumns;
  source.read_row = [&weights](std::span<float> out, std::uint32_t row) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(weights[row * kColumns + i]);
    }
  };
  return source;
}

Section section_of(WeightFormat format) {
  Section section;
  section.rows = kRows;
  section.columns = kColumns;
  section.block = 16;
  section.format = format;
  return section;
}

TEST(PackedMatrix, unpacked_numbers_are_the_weights_and_go_back_unchanged) {
  test::Random random(20);
  const auto weights = test::normal_numbers(random, kRows * kColumns);
  for (const WeightFormat format :
       {WeightFormat::int8, WeightFormat::int4, WeightFormat::int8_pairs}) {
    RoundedMatrix matrix = {format, encode_matrix(random_source(weights), format, 16)};
    const UnpackedMatrix numbers = unpack_matrix(matrix, section_of(format));
    const double room = format == WeightFormat::int4 ? 0.5 : 0.03;
    for (std::size_t at = 0; at < weights.size(); ++at) {
      const double weight =
          numbers.values[at] * static_cast<double>(numbers.unit(at / kColumns, at % kColumns));
      EXPECT_NEAR(weight, weights[at], room);
    }
    const auto before = matrix.encoded.bytes;
    store_numbers(matrix, numbers);
    EXPECT_EQ(matrix.encoded.bytes, before);
  }
}

TEST(PackedMatrix, changed_values_and_factors_are_stored) {
  test::Random random(21);
  const auto weights = test::normal_numbers(random, kRows * kColumns);
  RoundedMatrix matrix = {WeightFormat::int4,
                          encode_matrix(random_source(weights), WeightFormat::int4, 16)};
  const Section section = section_of(WeightFormat::int4);
  UnpackedMatrix numbers = unpack_matrix(matrix, section);
  numbers.values[kColumns + 20] = -8;
  numbers.values[kColumns + 42] = 7;
  numbers.units[4] = numbers.row_units[1] * 77;
  store_numbers(matrix, numbers);
  const UnpackedMatrix again = unpack_matrix(matrix, section);
  EXPECT_EQ(again.values, numbers.values);
  EXPECT_EQ(again.units, numbers.units);
}

}  // namespace
}  // namespace mote::host
