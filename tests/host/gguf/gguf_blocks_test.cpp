// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_blocks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "convert/float_formats.hpp"
#include "support/gguf_quantize.hpp"
#include "support/random.hpp"

namespace mote::host {
namespace {

using Block = std::span<const std::uint8_t>;

/// binary16 by its definition: (-1)^s * 2^(e - 15) * (1 + m / 1024).
double half_at(Block block, std::size_t at) {
  const int bits = block[at] + 256 * block[at + 1];
  const int exponent = bits / 1024 % 32;
  const int mantissa = bits % 1024;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return bits >= 32768 ? -magnitude : magnitude;
}

int bit_at(Block block, std::size_t first_byte, std::size_t bit) {
  return block[first_byte + bit / 8] >> bit % 8 & 1;
}

/// `count` bits from bit `from` of a byte.
int bits_of(int byte, int from, int count) {
  return (byte >> from) % (1 << count);
}

/// Nibble of value i of 32: values 0 to 15 are the low ones.
int nibble_at(Block block, std::size_t first, std::size_t i) {
  return bits_of(block[first + i % 16], i < 16 ? 0 : 4, 4);
}

/// Six bits of the scale (or the minimum) of group g, from the table of the twelve bytes.
int k_scale(Block block, std::size_t g) {
  const std::size_t base = 4;
  if (g < 4) return bits_of(block[base + g], 0, 6);
  return bits_of(block[base + 4 + g], 0, 4) + 16 * bits_of(block[base + g - 4], 6, 2);
}
int k_minimum(Block block, std::size_t g) {
  const std::size_t base = 4;
  if (g < 4) return bits_of(block[base + 4 + g], 0, 6);
  return bits_of(block[base + 4 + g], 4, 4) + 16 * bits_of(block[base + g], 6, 2);
}

double q4_k_or_q5_k(Block block, std::size_t i, bool has_fifth_bit) {
  const std::size_t group = i / 32;
  const std::size_t nibbles = has_fifth_bit ? 48 : 16;
  const int byte = block[nibbles + i / 64 * 32 + i % 32];
  int q = bits_of(byte, group % 2 == 0 ? 0 : 4, 4);
  if (has_fifth_bit) q += 16 * bits_of(block[16 + i % 32], static_cast<int>(group), 1);
  return half_at(block, 0) * k_scale(block, group) * q -
         half_at(block, 2) * k_minimum(block, group);
}

double q6_k(Block block, std::size_t i) {
  const std::size_t half = i / 128;
  const std::size_t quarter = i % 128 / 32;  // 0 to 3
  const std::size_t lane = i % 32;
  const int low = block[half * 64 + quarter % 2 * 32 + lane];
  const int high = block[128 + half * 32 + lane];
  const int q = bits_of(low, quarter < 2 ? 0 : 4, 4) +
                16 * bits_of(high, static_cast<int>(2 * quarter), 2) - 32;
  const int scale = block[192 + i / 16] < 128 ? block[192 + i / 16] : block[192 + i / 16] - 256;
  return half_at(block, 208) * scale * q;
}

/// Value `i` of a block in double precision, straight from the definition of its type.
double value_at(Block block, GgufType type, std::size_t i) {
  switch (type) {
    case GgufType::q4_0:
      return half_at(block, 0) * (nibble_at(block, 2, i) - 8);
    case GgufType::q4_1:
      return half_at(block, 0) * nibble_at(block, 4, i) + half_at(block, 2);
    case GgufType::q5_0:
      return half_at(block, 0) * (nibble_at(block, 6, i) + 16 * bit_at(block, 2, i) - 16);
    case GgufType::q5_1:
      return half_at(block, 0) * (nibble_at(block, 8, i) + 16 * bit_at(block, 4, i)) +
             half_at(block, 2);
    case GgufType::q8_0:
      return half_at(block, 0) * (block[2 + i] < 128 ? block[2 + i] : block[2 + i] - 256);
    case GgufType::q4_k:
      return q4_k_or_q5_k(block, i, false);
    case GgufType::q5_k:
      return q4_k_or_q5_k(block, i, true);
    case GgufType::q6_k:
      return q6_k(block, i);
    case GgufType::f16:
      return half_at(block, 0);
    case GgufType::bf16: {
      const int exponent = block[0] / 128 + block[1] % 128 * 2;
      const double magnitude = exponent == 0 ? std::ldexp(block[0] % 128, -133)
                                             : std::ldexp(128 + block[0] % 128, exponent - 134);
      return block[1] >= 128 ? -magnitude : magnitude;
    }
    case GgufType::f32:
      break;
  }
  return 0;
}

/// Where a type keeps binary16 numbers; those of random bytes must be no infinities.
std::vector<std::size_t> halves_of(GgufType type) {
  switch (type) {
    case GgufType::f32:
    case GgufType::bf16:
      return {};
    case GgufType::q4_1:
    case GgufType::q5_1:
    case GgufType::q4_k:
    case GgufType::q5_k:
      return {0, 2};
    case GgufType::q6_k:
      return {208};
    default:
      return {0};
  }
}

std::vector<std::uint8_t> random_block(test::Random& random, const GgufTypeInfo& info) {
  std::vector<std::uint8_t> block(info.block_bytes);
  for (std::uint8_t& byte : block) byte = static_cast<std::uint8_t>(random.awkward(8));
  for (const std::size_t at : halves_of(info.type)) {
    if ((block[at + 1] & 0x7c) == 0x7c) block[at + 1] ^= 0x40;
  }
  if (info.type == GgufType::bf16 && (block[1] & 0x7f) == 0x7f) block[1] ^= 0x40;
  return block;
}

TEST(GgufBlocks, EveryTypeIsDeliveredAsItsDefinitionSays) {
  test::Random random(1);
  for (const GgufTypeInfo& info : gguf_types()) {
    if (info.type == GgufType::f32) continue;
    for (int round = 0; round < 2000; ++round) {
      const std::vector<std::uint8_t> block = random_block(random, info);
      std::vector<float> values(info.block_values);
      read_gguf_blocks(values, block, info.type);
      for (std::size_t i = 0; i < values.size(); ++i) {
        // All products are exact in double precision, so that there is one rounding, to float.
        ASSERT_EQ(values[i], static_cast<float>(value_at(block, info.type, i)))
            << info.name << " value " << i;
      }
    }
  }
}

TEST(GgufBlocks, FloatsAreDeliveredAsTheyStand) {
  const std::vector<float> values = {1.5F, -0.0F, 3e-45F, 3e38F};
  const std::vector<std::uint8_t> bytes = test::quantize_gguf(values, GgufType::f32);
  std::vector<float> read(values.size());
  read_gguf_blocks(read, bytes, GgufType::f32);
  EXPECT_EQ(read, values);
}

TEST(GgufBlocks, EveryHalfIsRight) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const std::uint8_t block[] = {static_cast<std::uint8_t>(bits),
                                  static_cast<std::uint8_t>(bits >> 8)};
    const float value = from_f16(static_cast<std::uint16_t>(bits));
    if ((bits & 0x7c00U) == 0x7c00U) {
      EXPECT_FALSE(std::isfinite(value));
      EXPECT_EQ(std::isnan(value), (bits & 1023U) != 0);
    } else {
      ASSERT_EQ(value, static_cast<float>(half_at(block, 0))) << bits;
      ASSERT_EQ(test::to_f16(value), bits);
    }
  }
}

/// Largest error of a value over the largest magnitude of its block, for plain rounding.
double bound(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return 0;
    case GgufType::f16:
      return 0x1p-11;
    case GgufType::bf16:
      return 0x1p-8;
    case GgufType::q8_0:
      return 0.51 / 127;
    case GgufType::q6_k:
      return 1.1 / 31;
    case GgufType::q5_0:
    case GgufType::q5_1:
    case GgufType::q5_k:
      return 1.2 / 15;
    default:
      return 1.2 / 7;
  }
}

TEST(GgufBlocks, TheTestsWriterRoundsEveryType) {
  test::Random random(2);
  for (const GgufTypeInfo& info : gguf_types()) {
    for (int round = 0; round < 200; ++round) {
      std::vector<float> values(info.block_values);
      float widest = 0;
      for (float& value : values) {
        value = static_cast<float>(random.normal());
        widest = std::max(widest, std::fabs(value));
      }
      const std::vector<std::uint8_t> bytes = test::quantize_gguf(values, info.type);
      ASSERT_EQ(bytes.size(), info.block_bytes);
      std::vector<float> read(values.size());
      read_gguf_blocks(read, bytes, info.type);
      for (std::size_t i = 0; i < values.size(); ++i) {
        ASSERT_NEAR(read[i], values[i], bound(info.type) * widest) << info.name << " " << i;
      }
    }
  }
}

TEST(GgufBlocks, ARowIsMadeOfItsBlocks) {
  test::Random random(3);
  for (const GgufTypeInfo& info : gguf_types()) {
    std::vector<std::uint8_t> row;
    std::vector<float> expected;
    for (int i = 0; i < 3; ++i) {
      const std::vector<std::uint8_t> block = random_block(random, info);
      std::vector<float> values(info.block_values);
      read_gguf_blocks(values, block, info.type);
      row.insert(row.end(), block.begin(), block.end());
      expected.insert(expected.end(), values.begin(), values.end());
    }
    std::vector<float> values(expected.size());
    read_gguf_blocks(values, row, info.type);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(expected[i])) continue;
      EXPECT_EQ(values[i], expected[i]);
    }
    row.pop_back();
    EXPECT_THROW(read_gguf_blocks(values, row, info.type), std::logic_error);
  }
}

TEST(GgufBlocks, TypesHaveTheirNames) {
  EXPECT_EQ(gguf_type_name(0), "F32");
  EXPECT_EQ(gguf_type_name(10), "Q2_K");
  EXPECT_EQ(gguf_type_name(14), "Q6_K");
  EXPECT_EQ(gguf_type_name(30), "BF16");
  EXPECT_EQ(gguf_type_name(39), "MXFP4");
  EXPECT_EQ(gguf_type_name(4000000000U), "type 4000000000");
  for (const GgufTypeInfo& info : gguf_types()) {
    EXPECT_EQ(gguf_type_name(static_cast<std::uint32_t>(info.type)), info.name);
  }
  EXPECT_EQ(find_gguf_type(10), nullptr);
}

}  // namespace
}  // namespace mote::host
