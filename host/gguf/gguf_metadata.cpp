// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "convert/printable.hpp"
#include "gguf/gguf_cursor.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

[[noreturn]] void fail(const GgufFile& file, std::string_view key, std::string_view expected) {
  throw Error(fmt::format("{}: {} must be {}", file.path(), printable(key), expected));
}

template <typename Number>
Number load(const std::uint8_t* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof number);
  return number;
}

/// The integer or boolean at `bytes`; empty where the type is neither, or where it is above 2^63.
std::optional<std::int64_t> load_integer(GgufValueType type, const std::uint8_t* bytes) {
  switch (type) {
    case GgufValueType::u8:
    case GgufValueType::boolean:
      return load<std::uint8_t>(bytes);
    case GgufValueType::i8:
      return load<std::int8_t>(bytes);
    case GgufValueType::u16:
      return load<std::uint16_t>(bytes);
    case GgufValueType::i16:
      return load<std::int16_t>(bytes);
    case GgufValueType::u32:
      return load<std::uint32_t>(bytes);
    case GgufValueType::i32:
      return load<std::int32_t>(bytes);
    case GgufValueType::i64:
      return load<std::int64_t>(bytes);
    case GgufValueType::u64: {
      const auto value = load<std::uint64_t>(bytes);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return {};
      return static_cast<std::int64_t>(value);
    }
    default:
      return {};
  }
}

double meant_by(float value) {
  if (!std::isfinite(value)) return value;
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value).ptr;
  double meant = 0;
  std::from_chars(std::begin(text), end, meant);
  return meant;
}

/// A value that is no array, or null.
const GgufValue* find_single(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find_value(key);
  if (value != nullptr && value->is_array) fail(file, key, "a single value, not an array");
  return value;
}

const GgufValue* find_array(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find_value(key);
  if (value != nullptr && !value->is_array) fail(file, key, "an array");
  return value;
}

std::uint32_t to_u32(const GgufFile& file, std::string_view key, std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<std::uint32_t>::max()) {
    fail(file, key, fmt::format("0 to 2^32 - 1, not {}", value));
  }
  return static_cast<std::uint32_t>(value);
}

}  // namespace

std::optional<std::int64_t> find_integer(const GgufFile& file, std::string_view key) {
  const GgufValue* value = find_single(file, key);
  if (value == nullptr) return {};
  const bool is_flag = value->type == GgufValueType::boolean;
  const auto number = is_flag ? std::nullopt : load_integer(value->type, value->bytes.data());
  if (!number) fail(file, key, "an integer below 2^63");
  return number;
}

std::optional<std::uint32_t> find_u32(const GgufFile& file, std::string_view key) {
  const std::optional<std::int64_t> value = find_integer(file, key);
  if (!value) return {};
  return to_u32(file, key, *value);
}

std::uint32_t require_u32(const GgufFile& file, std::string_view key) {
  const std::optional<std::uint32_t> value = find_u32(file, key);
  if (!value) throw Error(fmt::format("{}: {} is missing", file.path(), key));
  return *value;
}

std::optional<std::uint32_t> find_common_u32(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find_value(key);
  if (value == nullptr || !value->is_array) return find_u32(file, key);
  const std::vector<std::int64_t> numbers = list_integers(file, key);
  const auto other = [&](std::int64_t number) { return number != numbers.front(); };
  if (numbers.empty() || std::any_of(numbers.begin(), numbers.end(), other)) {
    fail(file, key, "the same for all layers");
  }
  return to_u32(file, key, numbers.front());
}

std::optional<double> find_real(const GgufFile& file, std::string_view key) {
  const GgufValue* value = find_single(file, key);
  if (value == nullptr) return {};
  if (value->type == GgufValueType::f32) return meant_by(load<float>(value->bytes.data()));
  if (value->type == GgufValueType::f64) return load<double>(value->bytes.data());
  const auto number = load_integer(value->type, value->bytes.data());
  if (!number || value->type == GgufValueType::boolean) fail(file, key, "a number");
  return static_cast<double>(*number);
}

std::optional<bool> find_flag(const GgufFile& file, std::string_view key) {
  const GgufValue* value = find_single(file, key);
  if (value == nullptr) return {};
  if (value->type != GgufValueType::boolean || value->bytes[0] > 1) fail(file, key, "a boolean");
  return value->bytes[0] == 1;
}

std::optional<std::string_view> find_text(const GgufFile& file, std::string_view key) {
  const GgufValue* value = find_single(file, key);
  if (value == nullptr) return {};
  if (value->type != GgufValueType::string) fail(file, key, "a string");
  return GgufCursor(value->bytes, file.path()).string(key);
}

std::vector<std::string_view> list_texts(const GgufFile& file, std::string_view key) {
  std::vector<std::string_view> texts;
  const GgufValue* value = find_array(file, key);
  if (value == nullptr) return texts;
  if (value->type != GgufValueType::string) fail(file, key, "an array of strings");
  GgufCursor cursor(value->bytes, file.path());
  for (std::uint64_t i = 0; i < value->count; ++i) texts.push_back(cursor.string(key));
  return texts;
}

std::vector<float> list_floats(const GgufFile& file, std::string_view key) {
  const GgufValue* value = find_array(file, key);
  if (value == nullptr) return {};
  if (value->type != GgufValueType::f32) fail(file, key, "an array of f32");
  std::vector<float> numbers(static_cast<std::size_t>(value->count));
  if (!numbers.empty()) std::memcpy(numbers.data(), value->bytes.data(), value->bytes.size());
  return numbers;
}

std::vector<std::int64_t> list_integers(const GgufFile& file, std::string_view key) {
  std::vector<std::int64_t> numbers;
  const GgufValue* value = find_array(file, key);
  if (value == nullptr) return numbers;
  const std::uint64_t stride = gguf_element_bytes(value->type);
  for (std::uint64_t i = 0; i < value->count; ++i) {
    const auto number = load_integer(value->type, value->bytes.data() + i * stride);
    if (!number) fail(file, key, "an array of integers");
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace mote::host
