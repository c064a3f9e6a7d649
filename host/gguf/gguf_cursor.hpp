// SPDX-License-Identifier: Apache-2.0
// Reads the beginning of a GGUF file from front to back; every step is checked against its end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "gguf/gguf_file.hpp"

namespace mote::host {

class GgufCursor {
 public:
  static_assert(std::endian::native == std::endian::little);

  /// `path` must outlive the cursor.
  GgufCursor(std::span<const std::uint8_t> bytes, const std::string& path)
      : bytes_(bytes), path_(path) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return bytes_.size() - offset_; }

  /// `what` says in messages what was to be read: "the version".
  template <typename Number>
  Number number(std::string_view what) {
    Number value;
    std::memcpy(&value, take(sizeof(Number), what).data(), sizeof(Number));
    return value;
  }
  std::string_view string(std::string_view what);
  std::span<const std::uint8_t> take(std::uint64_t count, std::string_view what);

  /// A number of things that take at least `least_bytes` each; more than could follow are refused.
  std::uint64_t count(std::uint64_t least_bytes, std::string_view what);

  /// A value with its type and all its elements.
  GgufValue value(std::string_view key);

  [[noreturn]] void fail(const std::string& fault) const;

 private:
  GgufValueType value_type(std::uint32_t number, std::string_view key) const;

  std::span<const std::uint8_t> bytes_;
  std::uint64_t offset_ = 0;
  const std::string& path_;
};

/// Bytes of one element; 0 for strings, whose lengths differ, and for arrays.
std::uint64_t gguf_element_bytes(GgufValueType type);

}  // namespace mote::host
