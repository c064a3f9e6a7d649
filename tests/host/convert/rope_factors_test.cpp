// SPDX-License-Identifier: Apache-2.0
#include "convert/rope_factors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "convert/model_sections.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

std::uint32_t frequency(const std::vector<std::uint8_t>& section, std::size_t i) {
  std::uint32_t value = 0;
  std::memcpy(&value, section.data() + 4 * i, sizeof value);
  return value;
}

// Llama 3.1: head size 128, base 500000. Pairs 0 to 28 turn within 2048 positions and stay, those
// from 35 on take more than 8192 and are stretched eight times; between them the factors rise.
TEST(RopeFactors, Llama3StretchesLongWavelengths) {
  const std::vector<double> factors = make_llama3_factors({}, 128, 500000, "test");
  ASSERT_EQ(factors.size(), 64u);
  EXPECT_EQ(factors[0], 1);
  EXPECT_EQ(factors[28], 1);
  EXPECT_GT(factors[29], 1);
  EXPECT_LT(factors[29], factors[34]);
  EXPECT_EQ(factors[35], 8);
  EXPECT_EQ(factors[63], 8);
  EXPECT_THROW(make_llama3_factors({8, 4, 1, 8192}, 128, 500000, "test"), Error);
  EXPECT_THROW(make_llama3_factors({0.5, 1, 4, 8192}, 128, 500000, "test"), Error);
}

TEST(RopeFactors, LinearDividesAll) {
  EXPECT_EQ(make_linear_factors(4, 6), (std::vector<double>{4, 4, 4}));
  EXPECT_TRUE(make_linear_factors(1, 6).empty());
}

TEST(RopeFactors, DivideTheFrequenciesOfTheImage) {
  const std::vector<double> factors = {1, 4, kMinRopeFactor};
  const std::vector<std::uint8_t> section = encode_rope_frequencies(6, 1, factors);
  ASSERT_EQ(section.size(), 12u);
  const double turns = 0x1p32 / (2 * std::numbers::pi);
  EXPECT_EQ(frequency(section, 0), static_cast<std::uint32_t>(std::round(turns)));
  EXPECT_EQ(frequency(section, 1), static_cast<std::uint32_t>(std::round(turns / 4)));
  EXPECT_EQ(frequency(section, 2), static_cast<std::uint32_t>(std::round(turns * 4)));
  EXPECT_EQ(encode_rope_frequencies(6, 100, std::vector<double>(3, 1.0)),
            encode_rope_frequencies(6, 100));
}

TEST(RopeFactors, AreCheckedWithTheShape) {
  CheckpointShape shape = {8, 12, 2, 2, 1, 4, 10, 16};
  shape.rope_factors = {1, 8};
  EXPECT_NO_THROW(check_shape("m", shape));
  for (const std::vector<double>& bad :
       {std::vector<double>{1}, {1, 0}, {1, -1}, {1, 0.1}, {1, 1e9}, {1, std::nan("")}}) {
    shape.rope_factors = bad;
    EXPECT_THROW(check_shape("m", shape), Error);
  }
}

}  // namespace
}  // namespace mote::host
