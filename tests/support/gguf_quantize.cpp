// SPDX-License-Identifier: Apache-2.0
#include "support/gguf_quantize.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "convert/float_formats.hpp"

namespace mote::test {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Values = std::span<const float>;
using host::GgufType;

void put(Bytes& out, std::size_t at, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    out[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

/// Stores `value` as binary16 and returns what is stored.
float put_half(Bytes& out, std::size_t at, float value) {
  const std::uint16_t bits = to_f16(value);
  put(out, at, bits, 2);
  return host::from_f16(bits);
}

int round_to(float value, float unit, int low, int high) {
  const float steps = unit == 0 ? 0 : std::nearbyint(value / unit);
  return std::clamp(static_cast<int>(std::clamp(steps, -1000.0F, 1000.0F)), low, high);
}

float largest(Values values) {
  const auto by_magnitude = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
  return *std::max_element(values.begin(), values.end(), by_magnitude);
}

/// Numbers of 4 or 5 bits: nibbles at `nibbles_at`, fifth bits as a u32 at `high_at`.
void put_nibbles(Bytes& out, std::span<const int> q, std::size_t nibbles_at, std::size_t high_at) {
  std::uint32_t high = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    out[nibbles_at + i % 16] |= static_cast<std::uint8_t>((q[i] & 15) << (i < 16 ? 0 : 4));
    high |= static_cast<std::uint32_t>(q[i] >> 4 & 1) << i;
  }
  if (high_at != 0) put(out, high_at, high, 4);
}

/// Q4_0 and Q5_0: d * (q - half).
Bytes symmetric(Values values, int half, std::size_t block_bytes) {
  Bytes out(block_bytes);
  const float d = put_half(out, 0, largest(values) / static_cast<float>(-half));
  std::array<int, 32> q{};
  for (std::size_t i = 0; i < 32; ++i) q[i] = round_to(values[i], d, -half, half - 1) + half;
  put_nibbles(out, q, block_bytes - 16, half == 16 ? 2 : 0);
  return out;
}

/// Q4_1 and Q5_1: d * q + m.
Bytes with_minimum(Values values, int top, std::size_t block_bytes) {
  Bytes out(block_bytes);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const float d = put_half(out, 0, (*high - *low) / static_cast<float>(top));
  const float m = put_half(out, 2, *low);
  std::array<int, 32> q{};
  for (std::size_t i = 0; i < 32; ++i) q[i] = round_to(values[i] - m, d, 0, top);
  put_nibbles(out, q, block_bytes - 16, top == 31 ? 4 : 0);
  return out;
}

Bytes q8_0(Values values) {
  Bytes out(34);
  const float d = put_half(out, 0, std::fabs(largest(values)) / 127);
  for (std::size_t i = 0; i < 32; ++i) {
    out[2 + i] = static_cast<std::uint8_t>(round_to(values[i], d, -127, 127));
  }
  return out;
}

/// Scale and minimum of group `g`, six bits each, in the 12 bytes of Q4_K and Q5_K.
void put_scales(Bytes& out, std::size_t g, int scale, int minimum) {
  if (g < 4) {
    out[4 + g] |= static_cast<std::uint8_t>(scale);
    out[8 + g] |= static_cast<std::uint8_t>(minimum);
    return;
  }
  out[8 + g] |= static_cast<std::uint8_t>((scale & 15) | (minimum & 15) << 4);
  out[g] |= static_cast<std::uint8_t>(scale >> 4 << 6);
  out[4 + g] |= static_cast<std::uint8_t>(minimum >> 4 << 6);
}

/// Q4_K and Q5_K: d * scale * q - m * minimum.
Bytes k_with_minimum(Values values, int top, std::size_t block_bytes) {
  Bytes out(block_bytes);
  std::array<float, 8> scales{};
  std::array<float, 8> minima{};
  for (std::size_t g = 0; g < 8; ++g) {
    const auto group = values.subspan(g * 32, 32);
    const auto [low, high] = std::minmax_element(group.begin(), group.end());
    minima[g] = std::max(0.0F, -*low);
    scales[g] = std::max(0.0F, *high + minima[g]) / static_cast<float>(top);
  }
  const float d = put_half(out, 0, *std::max_element(scales.begin(), scales.end()) / 63);
  const float m = put_half(out, 2, *std::max_element(minima.begin(), minima.end()) / 63);
  for (std::size_t g = 0; g < 8; ++g) {
    const int scale = round_to(scales[g], d, 0, 63);
    const int minimum = round_to(minima[g], m, 0, 63);
    put_scales(out, g, scale, minimum);
    for (std::size_t i = 0; i < 32; ++i) {
      const float shifted = values[g * 32 + i] + m * static_cast<float>(minimum);
      const int q = round_to(shifted, d * static_cast<float>(scale), 0, top);
      out[block_bytes - 128 + g / 2 * 32 + i] |= static_cast<std::uint8_t>((q & 15) << g % 2 * 4);
      if (top == 31) out[16 + i] |= static_cast<std::uint8_t>(q >> 4 << g);
    }
  }
  return out;
}

Bytes q6_k(Values values) {
  Bytes out(210);
  float widest = 0;
  for (const float value : values) widest = std::max(widest, std::fabs(value));
  const float d = put_half(out, 208, widest / 31 / 127);
  for (std::size_t i = 0; i < 256; ++i) {
    const auto group = values.subspan(i / 16 * 16, 16);
    const int scale = round_to(std::fabs(largest(group)) / 31, d, 0, 127);
    out[192 + i / 16] = static_cast<std::uint8_t>(scale);
    const int q = round_to(values[i], d * static_cast<float>(scale), -32, 31) + 32;
    const std::size_t lane = i % 128;
    out[i / 128 * 64 + lane % 64] |= static_cast<std::uint8_t>((q & 15) << lane / 64 * 4);
    out[128 + i / 128 * 32 + lane % 32] |= static_cast<std::uint8_t>(q >> 4 << lane / 32 * 2);
  }
  return out;
}

Bytes quantize_block(Values values, GgufType type) {
  switch (type) {
    case GgufType::f32: {
      Bytes out(4);
      put(out, 0, std::bit_cast<std::uint32_t>(values[0]), 4);
      return out;
    }
    case GgufType::f16: {
      Bytes out(2);
      put(out, 0, to_f16(values[0]), 2);
      return out;
    }
    case GgufType::bf16: {
      // Rounded half up in magnitude; tests use numbers that need no rounding.
      Bytes out(2);
      put(out, 0, (std::bit_cast<std::uint32_t>(values[0]) + 0x8000U) >> 16, 2);
      return out;
    }
    case GgufType::q4_0:
      return symmetric(values, 8, 18);
    case GgufType::q5_0:
      return symmetric(values, 16, 22);
    case GgufType::q4_1:
      return with_minimum(values, 15, 20);
    case GgufType::q5_1:
      return with_minimum(values, 31, 24);
    case GgufType::q8_0:
      return q8_0(values);
    case GgufType::q4_k:
      return k_with_minimum(values, 15, 144);
    case GgufType::q5_k:
      return k_with_minimum(values, 31, 176);
    case GgufType::q6_k:
      return q6_k(values);
  }
  return {};
}

}  // namespace

std::uint16_t to_f16(float value) {
  const unsigned sign = std::signbit(value) ? 0x8000U : 0U;
  const float magnitude = std::fabs(value);
  if (!(magnitude < 65520)) return static_cast<std::uint16_t>(sign | 0x7c00U);
  const int exponent = magnitude == 0 ? -14 : std::max(-14, std::ilogb(magnitude));
  const auto steps = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return static_cast<std::uint16_t>(sign | ((static_cast<unsigned>(exponent + 14) << 10) + steps));
}

std::vector<std::uint8_t> quantize_gguf(std::span<const float> values, GgufType type) {
  const std::size_t step = host::gguf_type_info(type).block_values;
  Bytes out;
  for (std::size_t i = 0; i + step <= values.size(); i += step) {
    const Bytes block = quantize_block(values.subspan(i, step), type);
    out.insert(out.end(), block.begin(), block.end());
  }
  return out;
}

}  // namespace mote::test
