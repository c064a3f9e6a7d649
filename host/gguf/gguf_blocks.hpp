// SPDX-License-Identifier: Apache-2.0
// How the tensors of a GGUF file store their numbers: in blocks of 1, 32 or 256 values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mote::host {

/// The types that are read, by their numbers in the file (`enum ggml_type` of ggml).
enum class GgufType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

struct GgufTypeInfo {
  GgufType type{};
  std::string_view name;
  std::uint32_t block_values = 0;
  std::uint32_t block_bytes = 0;
};

/// The types that are read, in the order of their numbers.
std::span<const GgufTypeInfo> gguf_types();
/// Null where the type is not read.
const GgufTypeInfo* find_gguf_type(std::uint32_t number);
const GgufTypeInfo& gguf_type_info(GgufType type);

/// "Q2_K" also for the types of ggml that are not read; "type 77" for a number that is none.
std::string gguf_type_name(std::uint32_t number);
/// "F32, F16, Q4_0, ...": what messages offer.
std::string supported_gguf_types();

/// Fills `out` with the values of `blocks`, as ggml's `dequantize_row_*` do, every product and sum
/// rounded to float. out.size() is a multiple of block_values and `blocks` holds exactly as many.
void read_gguf_blocks(std::span<float> out, std::span<const std::uint8_t> blocks, GgufType type);

}  // namespace mote::host
