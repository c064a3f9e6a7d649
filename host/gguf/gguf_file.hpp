// SPDX-License-Identifier: Apache-2.0
// The container of GGUF, versions 2 and 3: metadata and tensors as views of a mapped file.
// Source: docs/gguf.md of ggml. All numbers are little-endian; strings are a u64 length and bytes.
//   "GGUF", u32 version, u64 tensors, u64 values
//   values:  string key, u32 type, the value
//   tensors: string name, u32 dimensions, u64 extents (fastest first), u32 type, u64 offset
//   padding to general.alignment (32), from where the offsets count
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf_blocks.hpp"

namespace mote::host {

enum class GgufValueType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

/// A value of metadata. Its bytes have been walked through once: they hold `count` elements.
struct GgufValue {
  std::string_view key;
  GgufValueType type{};  // of the elements where it is an array
  bool is_array = false;
  std::uint64_t count = 1;
  std::span<const std::uint8_t> bytes;
};

/// A tensor; its bytes lie inside the file, and no two tensors share any.
struct GgufTensor {
  std::string_view name;
  std::array<std::uint64_t, 4> extents = {1, 1, 1, 1};  // columns first; none is 0
  std::uint32_t dimensions = 0;
  GgufType type{};
  std::span<const std::uint8_t> bytes;
};

/// A view of a GGUF file: the bytes must outlive it.
class GgufFile {
 public:
  /// Reads header, metadata and the list of tensors. Memory and time are bounded by what `bytes`
  /// hold. Throws `Error` that names `path`, the key or the tensor, and what was expected.
  GgufFile(std::span<const std::uint8_t> bytes, const std::string& path);

  const std::string& path() const { return path_; }
  std::uint32_t version() const { return version_; }
  /// By key.
  const std::vector<GgufValue>& values() const { return values_; }
  /// By name.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  /// Null where the file has none.
  const GgufValue* find_value(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
  std::string path_;
  std::uint32_t version_ = 0;
  std::vector<GgufValue> values_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace mote::host
