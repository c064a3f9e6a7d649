// SPDX-License-Identifier: Apache-2.0
// Layouts of blocks as ggml defines them (ggml-common.h). d and m are binary16 numbers, the scale
// and the minimum of a block; nibbles of 32 values are stored as those of values i (low) and i
// + 16.
//   Q4_0  d, 16 bytes of nibbles                  d * (q - 8)
//   Q4_1  d, m, 16 bytes                          d * q + m
//   Q5_0  d, u32 of fifth bits, 16 bytes          d * (q - 16)
//   Q5_1  d, m, u32 of fifth bits, 16 bytes       d * q + m
//   Q8_0  d, 32 x i8                              d * q
#include "gguf/gguf_blocks.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "convert/float_formats.hpp"
#include "gguf/gguf_k_blocks.hpp"

namespace mote::host {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are copied, not decoded");

constexpr std::array kTypes = {
    GgufTypeInfo{GgufType::f32, "F32", 1, 4},       GgufTypeInfo{GgufType::f16, "F16", 1, 2},
    GgufTypeInfo{GgufType::q4_0, "Q4_0", 32, 18},   GgufTypeInfo{GgufType::q4_1, "Q4_1", 32, 20},
    GgufTypeInfo{GgufType::q5_0, "Q5_0", 32, 22},   GgufTypeInfo{GgufType::q5_1, "Q5_1", 32, 24},
    GgufTypeInfo{GgufType::q8_0, "Q8_0", 32, 34},   GgufTypeInfo{GgufType::q4_k, "Q4_K", 256, 144},
    GgufTypeInfo{GgufType::q5_k, "Q5_K", 256, 176}, GgufTypeInfo{GgufType::q6_k, "Q6_K", 256, 210},
    GgufTypeInfo{GgufType::bf16, "BF16", 1, 2},
};

// By number; empty where ggml has no type.
constexpr std::array<std::string_view, 41> kNames = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",    "NVFP4"};

std::uint16_t load_u16(const std::uint8_t* bytes) {
  std::uint16_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

float load_half(const std::uint8_t* bytes) {
  return from_f16(load_u16(bytes));
}

std::uint32_t load_u32(const std::uint8_t* bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// One value each.
void read_f32(float* out, const std::uint8_t* block) {
  std::memcpy(out, block, sizeof *out);
}
void read_f16(float* out, const std::uint8_t* block) {
  *out = load_half(block);
}
void read_bf16(float* out, const std::uint8_t* block) {
  *out = from_bf16(load_u16(block));
}

/// The nibble of value `i` of 32.
int nibble(const std::uint8_t* nibbles, int i) {
  return i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4;
}

/// The nibble with bit `i` of `high` as its fifth bit.
int five_bits(const std::uint8_t* nibbles, std::uint32_t high, int i) {
  return nibble(nibbles, i) | static_cast<int>((high >> i & 1U) << 4);
}

void read_q4_0(float* out, const std::uint8_t* block) {
  const float scale = load_half(block);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(nibble(block + 2, i) - 8) * scale;
}

void read_q4_1(float* out, const std::uint8_t* block) {
  const float scale = load_half(block);
  const float minimum = load_half(block + 2);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(nibble(block + 4, i)) * scale + minimum;
}

void read_q5_0(float* out, const std::uint8_t* block) {
  const float scale = load_half(block);
  const std::uint32_t high = load_u32(block + 2);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(five_bits(block + 6, high, i) - 16) * scale;
  }
}

void read_q5_1(float* out, const std::uint8_t* block) {
  const float scale = load_half(block);
  const float minimum = load_half(block + 2);
  const std::uint32_t high = load_u32(block + 4);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(five_bits(block + 8, high, i)) * scale + minimum;
  }
}

void read_q8_0(float* out, const std::uint8_t* block) {
  const float scale = load_half(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * scale;
  }
}

using ReadBlock = void (*)(float*, const std::uint8_t*);

ReadBlock block_reader(GgufType type) {
  switch (type) {
    case GgufType::f32:
      return read_f32;
    case GgufType::f16:
      return read_f16;
    case GgufType::bf16:
      return read_bf16;
    case GgufType::q4_0:
      return read_q4_0;
    case GgufType::q4_1:
      return read_q4_1;
    case GgufType::q5_0:
      return read_q5_0;
    case GgufType::q5_1:
      return read_q5_1;
    case GgufType::q8_0:
      return read_q8_0;
    case GgufType::q4_k:
      return read_q4_k;
    case GgufType::q5_k:
      return read_q5_k;
    case GgufType::q6_k:
      return read_q6_k;
  }
  throw std::logic_error("no such GGUF type");
}

}  // namespace

std::span<const GgufTypeInfo> gguf_types() {
  return kTypes;
}

const GgufTypeInfo* find_gguf_type(std::uint32_t number) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const GgufTypeInfo& info) {
    return static_cast<std::uint32_t>(info.type) == number;
  });
  return found == kTypes.end() ? nullptr : found;
}

const GgufTypeInfo& gguf_type_info(GgufType type) {
  const GgufTypeInfo* info = find_gguf_type(static_cast<std::uint32_t>(type));
  if (info == nullptr) throw std::logic_error("no such GGUF type");
  return *info;
}

std::string gguf_type_name(std::uint32_t number) {
  if (number < kNames.size()) return std::string(kNames[number]);
  return "type " + std::to_string(number);
}

std::string supported_gguf_types() {
  std::string names;
  for (const GgufTypeInfo& info : kTypes) {
    if (!names.empty()) names += ", ";
    names += info.name;
  }
  return names;
}

void read_gguf_blocks(std::span<float> out, std::span<const std::uint8_t> blocks, GgufType type) {
  const GgufTypeInfo& info = gguf_type_info(type);
  const std::size_t count = out.size() / info.block_values;
  if (count * info.block_values != out.size() || count * info.block_bytes != blocks.size()) {
    throw std::logic_error("a row of a GGUF tensor is no whole number of blocks");
  }
  const ReadBlock read = block_reader(type);
  for (std::size_t i = 0; i < count; ++i) {
    read(out.data() + i * info.block_values, blocks.data() + i * info.block_bytes);
  }
}

}  // namespace mote::host
