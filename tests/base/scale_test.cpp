// SPDX-License-Identifier: Apache-2.0
// Scale16: every pattern, and the smallest scale that is not below a number.
#include "mote/scale.hpp"

#include <gtest/gtest.h>

#include <cstdint>

#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Int128;
using test::Random;

constexpr std::uint32_t kPatterns = 65536;

Scale16 pattern(std::uint32_t bits) {
  return Scale16{static_cast<std::uint16_t>(bits)};
}

/// The format of SPEC.md, word for word.
std::uint64_t specified_value(std::uint32_t bits) {
  const std::uint32_t e = bits >> 11;
  const std::uint64_t f = bits & 2047;
  return e == 0 ? f : (2048 + f) << (e - 1);
}

TEST(Scale16, every_pattern_has_the_specified_value) {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < kPatterns; ++bits) {
    const Scale16 scale = pattern(bits);
    wrong += scale.value() != specified_value(bits) ? 1 : 0;
    wrong += std::uint64_t{scale.mantissa()} << scale.exponent() != scale.value() ? 1 : 0;
    wrong += scale.mantissa() > 4095 || scale.exponent() > 30 ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Scale16, values_rise_with_the_bits) {
  int wrong = 0;
  for (std::uint32_t bits = 1; bits < kPatterns; ++bits) {
    wrong += pattern(bits).value() <= pattern(bits - 1).value() ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pattern(4096).value(), 4096U);
  EXPECT_EQ(pattern(kScale16Max).value(), std::uint64_t{4095} << 30);
}

TEST(EncodeScaleUp, gives_back_every_pattern) {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < kPatterns; ++bits) {
    const Scale16 scale = pattern(bits);
    wrong += encode_scale_up(scale.value(), 0) != scale ? 1 : 0;
    wrong += encode_scale_up(scale.mantissa(), scale.exponent()) != scale ? 1 : 0;
    wrong += encode_scale_up(scale.value() << 20, -20) != scale ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

/// True where the result is the smallest scale not below value * 2^exponent, or the largest scale
/// where there is none. // exponent -100 to 50
bool is_smallest_not_below(std::uint64_t value, int exponent) {
  const Scale16 scale = encode_scale_up(value, exponent);
  // Both sides in units that make them whole; a shift beyond 64 makes any value less than one unit.
  if (exponent < -64) return scale.bits == (value == 0 ? 0 : 1);
  const Int128 wanted = exponent > 0 ? Int128{value} << exponent : Int128{value};
  const int lift = exponent < 0 ? -exponent : 0;
  const bool reaches = Int128{scale.value()} << lift >= wanted;
  const bool smallest =
      scale.bits == 0 || Int128{pattern(scale.bits - 1U).value()} << lift < wanted;
  return smallest && (reaches || scale.bits == kScale16Max);
}

TEST(EncodeScaleUp, is_the_smallest_not_below_beside_every_pattern) {
  int wrong = 0;
  for (std::uint32_t bits = 1; bits < kPatterns; ++bits) {
    const std::uint64_t value = pattern(bits).value();
    for (const int lift : {1, 5, 20}) {
      for (const std::uint64_t near : {(value << lift) - 1, value << lift, (value << lift) + 1}) {
        wrong += is_smallest_not_below(near, -lift) ? 0 : 1;
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(EncodeScaleUp, is_the_smallest_not_below_for_awkward_numbers) {
  Random random(1);
  int wrong = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::uint64_t value = random.awkward(random.between<int>(1, 64));
    for (int exponent = -100; exponent <= 50; ++exponent) {
      if (is_smallest_not_below(value, exponent)) continue;
      if (wrong++ == 0) ADD_FAILURE() << value << " * 2^" << exponent;
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(EncodeScaleUp, saturates) {
  EXPECT_EQ(encode_scale_up(4095, 30).bits, kScale16Max);
  EXPECT_EQ(encode_scale_up(4095, 31).bits, kScale16Max);
  EXPECT_EQ(encode_scale_up(1, 1000).bits, kScale16Max);
  EXPECT_EQ(encode_scale_up(~std::uint64_t{0}, 0).bits, kScale16Max);
  EXPECT_EQ(encode_scale_up(~std::uint64_t{0}, -1000).bits, 1);
  EXPECT_EQ(encode_scale_up(0, 1000).bits, 0);
}

TEST(SignificantBits, counts) {
  EXPECT_EQ(significant_bits(0), 0);
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(significant_bits(std::uint64_t{1} << i), i + 1);
    EXPECT_EQ(significant_bits(~std::uint64_t{0} >> i), 64 - i);
  }
}

}  // namespace
}  // namespace mote
