// SPDX-License-Identifier: Apache-2.0
// Where the tensors of a llama2.c file lie. Three versions exist; all numbers are little-endian.
//   legacy     7 x i32 header, then fp32; two dead RoPE tables before the classifier's place
//   version 1  256-byte header with magic "24ka", then fp32, the norms first
//   version 2  as version 1, but matrices are int8 values followed by an fp32 scale a group
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "convert/checkpoint.hpp"

namespace mote::host {

inline constexpr std::uint32_t kLlama2cMagic = 0x616b3432U;

enum class Llama2cVersion : std::uint8_t { legacy = 0, version1 = 1, version2 = 2 };

/// The first layer's tensor begins at `offset` of the file, each further layer's `stride_bytes`
/// behind it.
struct TensorPlace {
  std::uint64_t offset = 0;
  std::uint64_t stride_bytes = 0;
};

struct Llama2cLayout {
  Llama2cVersion version = Llama2cVersion::legacy;
  CheckpointShape shape;
  /// Values that share a scale, counted over the whole tensor, so that a group may span two rows.
  /// 0 where the matrices are fp32.
  std::uint32_t group_size = 0;
  std::array<TensorPlace, 12> places{};  // by TensorName
};

/// Reads and checks the header of `bytes`, the whole file. Throws `Error` where a value is out of
/// range or the file is not exactly as long as the header demands.
Llama2cLayout read_llama2c_layout(std::span<const std::uint8_t> bytes, const std::string& path);

}  // namespace mote::host
