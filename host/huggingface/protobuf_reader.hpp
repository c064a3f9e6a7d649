// SPDX-License-Identifier: Apache-2.0
// The fields of a protocol buffer message, one after another; every step is checked against its
// end. Source: the encoding guide of protobuf.dev.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mote::host {

/// How a field's value is written.
enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct ProtobufField {
  std::uint64_t number = 0;
  WireType type{};
  std::uint64_t integer = 0;  // of varint, fixed64 and fixed32
  std::span<const std::uint8_t> bytes;

  bool is(std::uint64_t wanted, WireType wanted_type) const {
    return number == wanted && type == wanted_type;
  }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// A fixed32 as a float.
  float real() const;
};

class ProtobufReader {
 public:
  /// `where` begins messages and must outlive the reader.
  ProtobufReader(std::span<const std::uint8_t> bytes, const std::string& where)
      : rest_(bytes), where_(where) {}

  /// False at the end of the message. Throws `Error` where a field is damaged or is a group, which
  /// no longer exist.
  bool next(ProtobufField& field);

 private:
  std::uint64_t varint();
  std::uint64_t fixed(std::size_t count);
  std::span<const std::uint8_t> take(std::uint64_t count);
  [[noreturn]] void fail(const std::string& fault) const;

  std::span<const std::uint8_t> rest_;
  const std::string& where_;
};

}  // namespace mote::host
