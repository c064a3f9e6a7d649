// SPDX-License-Identifier: Apache-2.0
// Layouts as ggml defines them (ggml-common.h); d and m are binary16 numbers.
//   Q4_K  d, m, 12 bytes of scales and minima, 128 bytes of nibbles
//   Q5_K  d, m, 12 bytes of scales and minima, 32 bytes of fifth bits, 128 bytes of nibbles
//         value = d * scale * q - m * minimum; 8 scales and minima, one of each for 32 values
//   Q6_K  128 bytes of nibbles, 64 bytes of fifth and sixth bits, 16 x i8 scales, d
//         value = d * scale * (q - 32); a scale for 16 values
#include "gguf/gguf_k_blocks.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "convert/float_formats.hpp"

namespace mote::host {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are copied, not decoded");

constexpr int kGroups = 8;  // of 32 values

float load_half(const std::uint8_t* bytes) {
  std::uint16_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return from_f16(value);
}

struct ScaleAndMinimum {
  float scale = 0;
  float minimum = 0;
};

/// Six bits each. Of groups 0 to 3 they are the low six bits of bytes g and g + 4. Of groups 4 to 7
/// the low four bits are the nibbles of byte g + 4, the upper two the top bits of bytes g - 4 and
/// g.
ScaleAndMinimum unpack_scales(const std::uint8_t* packed, int group) {
  if (group < 4) {
    return {static_cast<float>(packed[group] & 63), static_cast<float>(packed[group + 4] & 63)};
  }
  const int low = packed[group + 4];
  return {static_cast<float>((low & 15) | (packed[group - 4] >> 6) << 4),
          static_cast<float>((low >> 4) | (packed[group] >> 6) << 4)};
}

/// What Q4_K and Q5_K have in common: `fifth_bits` holds bit g of byte i for value i of group g,
/// and may be null.
void read_scaled_groups(float* out, const std::uint8_t* block, const std::uint8_t* fifth_bits,
                        const std::uint8_t* nibbles) {
  const float d = load_half(block);
  const float m = load_half(block + 2);
  for (int group = 0; group < kGroups; ++group) {
    const ScaleAndMinimum packed = unpack_scales(block + 4, group);
    const float scale = d * packed.scale;
    const float minimum = m * packed.minimum;
    for (int i = 0; i < 32; ++i) {
      // Groups 2k and 2k + 1 are the low and the high nibbles of the same 32 bytes.
      int q = nibbles[group / 2 * 32 + i] >> (group % 2 * 4) & 15;
      if (fifth_bits != nullptr) q |= (fifth_bits[i] >> group & 1) << 4;
      out[group * 32 + i] = scale * static_cast<float>(q) - minimum;
    }
  }
}

}  // namespace

void read_q4_k(float* out, const std::uint8_t* block) {
  read_scaled_groups(out, block, nullptr, block + 16);
}

void read_q5_k(float* out, const std::uint8_t* block) {
  read_scaled_groups(out, block, block + 16, block + 48);
}

void read_q6_k(float* out, const std::uint8_t* block) {
  const std::uint8_t* low = block;
  const std::uint8_t* high = block + 128;
  const std::uint8_t* scales = block + 192;
  const float d = load_half(block + 208);
  for (int i = 0; i < 256; ++i) {
    // Each half of 128 values takes 64 bytes of nibbles (first all low, then all high ones) and 32
    // bytes of two bits.
    const int half = i / 128;
    const int lane = i % 128;
    const int nibble = low[half * 64 + lane % 64] >> (lane / 64 * 4) & 15;
    const int top = high[half * 32 + lane % 32] >> (lane / 32 * 2) & 3;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(scales[i / 16]));
    out[i] = scale * static_cast<float>((nibble | top << 4) - 32);
  }
}

}  // namespace mote::host
