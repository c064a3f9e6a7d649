// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_cursor.hpp"

#include <fmt/format.h>

#include "convert/printable.hpp"
#include "support/error.hpp"

namespace mote::host {

std::uint64_t gguf_element_bytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::u8:
    case GgufValueType::i8:
    case GgufValueType::boolean:
      return 1;
    case GgufValueType::u16:
    case GgufValueType::i16:
      return 2;
    case GgufValueType::u32:
    case GgufValueType::i32:
    case GgufValueType::f32:
      return 4;
    case GgufValueType::u64:
    case GgufValueType::i64:
    case GgufValueType::f64:
      return 8;
    case GgufValueType::string:
    case GgufValueType::array:
      return 0;
  }
  return 0;
}

void GgufCursor::fail(const std::string& fault) const {
  throw Error(fmt::format("{}: {}", path_, fault));
}

std::span<const std::uint8_t> GgufCursor::take(std::uint64_t count, std::string_view what) {
  if (count > left()) {
    fail(fmt::format("{} needs {} bytes at byte {}, the file has {} bytes", what, count, offset_,
                     bytes_.size()));
  }
  const auto taken =
      bytes_.subspan(static_cast<std::size_t>(offset_), static_cast<std::size_t>(count));
  offset_ += count;
  return taken;
}

std::string_view GgufCursor::string(std::string_view what) {
  const auto size = number<std::uint64_t>(what);
  const auto text = take(size, what);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

std::uint64_t GgufCursor::count(std::uint64_t least_bytes, std::string_view what) {
  const auto value = number<std::uint64_t>(what);
  if (value > left() / least_bytes) {
    fail(fmt::format("{} is {}, the {} bytes that follow hold at most {}", what, value, left(),
                     left() / least_bytes));
  }
  return value;
}

GgufValueType GgufCursor::value_type(std::uint32_t number, std::string_view key) const {
  if (number > static_cast<std::uint32_t>(GgufValueType::f64)) {
    fail(fmt::format("{}: the type of its value is {}, must be 0 to 12", printable(key), number));
  }
  return static_cast<GgufValueType>(number);
}

GgufValue GgufCursor::value(std::string_view key) {
  const std::string what = printable(key);
  GgufValue value;
  value.key = key;
  value.type = value_type(number<std::uint32_t>(what), key);
  value.is_array = value.type == GgufValueType::array;
  if (value.is_array) {
    value.type = value_type(number<std::uint32_t>(what), key);
    if (value.type == GgufValueType::array) fail(what + ": arrays of arrays are not supported");
    const std::uint64_t least = gguf_element_bytes(value.type);
    value.count = count(least == 0 ? sizeof(std::uint64_t) : least, what + ": its length");
  }
  const std::uint64_t begin = offset_;
  if (value.type == GgufValueType::string) {
    for (std::uint64_t i = 0; i < value.count; ++i) string(what);
  } else {
    take(value.count * gguf_element_bytes(value.type), what);
  }
  value.bytes =
      bytes_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(offset_ - begin));
  return value;
}

}  // namespace mote::host
