// SPDX-License-Identifier: Apache-2.0
// Writes GGUF files, right ones and, with raw values, wrong ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gguf/gguf_blocks.hpp"
#include "gguf/gguf_file.hpp"

namespace mote::test {

class GgufWriter {
 public:
  using Bytes = std::vector<std::uint8_t>;

  explicit GgufWriter(std::uint32_t version = 3) : version_(version) {}

  void add_u32(const std::string& key, std::uint32_t value);
  void add_f32(const std::string& key, float value);
  void add_bool(const std::string& key, bool value);
  void add_string(const std::string& key, const std::string& value);
  void add_strings(const std::string& key, const std::vector<std::string>& values);
  void add_f32s(const std::string& key, const std::vector<float>& values);
  void add_i32s(const std::string& key, const std::vector<std::int32_t>& values);
  /// The type and the bytes of a value as they stand in the file.
  void add_raw(const std::string& key, std::uint32_t type, const Bytes& bytes);

  /// `extents` are columns, rows, ...
  void add_tensor(const std::string& name, const std::vector<std::uint64_t>& extents,
                  host::GgufType type, std::span<const float> values);
  /// The tensor's place alone: its bytes, which the caller writes, come after those before it.
  void declare_tensor(const std::string& name, const std::vector<std::uint64_t>& extents,
                      host::GgufType type);

  /// Everything before the data, padded to the alignment.
  Bytes header() const;
  /// The whole file.
  Bytes file() const;

  static constexpr std::uint64_t kAlignment = 32;

 private:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> extents;
    host::GgufType type{};
    std::uint64_t offset = 0;
    Bytes bytes;
  };

  std::uint32_t version_;
  std::uint64_t value_count_ = 0;
  Bytes values_;
  std::vector<Tensor> tensors_;
  std::uint64_t data_bytes_ = 0;
};

/// Appends the `count` lowest bytes of `value`, least significant first.
void append_bytes(std::vector<std::uint8_t>& out, std::uint64_t value, std::size_t count);
/// Appends a u64 length and the text.
void append_string(std::vector<std::uint8_t>& out, const std::string& text);

}  // namespace mote::test
