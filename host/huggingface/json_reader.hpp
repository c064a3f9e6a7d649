// SPDX-License-Identifier: Apache-2.0
// JSON from strangers: parsed with a bounded depth, and read with messages that name the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

namespace mote::host {

/// What configurations, indices and headers stay far below; parsed, JSON takes many times its size.
inline constexpr std::size_t kMaxJsonBytes = std::size_t{1} << 24;

/// Throws `Error` that begins with `where` where `text` is no JSON object, nests deeper than 16 or
/// has more than `max_bytes`.
nlohmann::json parse_json_object(std::span<const std::uint8_t> text, const std::string& where,
                                 std::size_t max_bytes = kMaxJsonBytes);

/// The members of an object. Each function throws `Error` that begins with `where` and names the
/// key where the value is of another type or out of range; null counts as absent.
class JsonReader {
 public:
  /// `object` must outlive the reader and be a JSON object.
  JsonReader(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  /// Null where it is absent.
  const nlohmann::json* find(const std::string& key) const;
  /// Empty where it is absent; else a reader of the object at `key`.
  std::optional<JsonReader> find_object(const std::string& key) const;

  std::optional<std::uint32_t> find_u32(const std::string& key) const;
  std::uint32_t require_u32(const std::string& key) const;
  double real_or(const std::string& key, double otherwise) const;
  double require_real(const std::string& key) const;
  bool flag_or(const std::string& key, bool otherwise) const;
  std::string text_or(const std::string& key, const std::string& otherwise) const;

  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;

 private:
  const nlohmann::json& object_;
  std::string where_;
};

/// An integer of 0 to 2^64 - 1; empty where `value` is anything else.
std::optional<std::uint64_t> to_u64(const nlohmann::json& value);

}  // namespace mote::host
