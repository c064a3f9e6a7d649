// SPDX-License-Identifier: Apache-2.0
#include "huggingface/json_reader.hpp"

#include <fmt/format.h>

#include <limits>

#include "convert/printable.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr int kMaxDepth = 16;

}  // namespace

nlohmann::json parse_json_object(std::span<const std::uint8_t> text, const std::string& where,
                                 std::size_t max_bytes) {
  using Json = nlohmann::json;
  if (text.size() > max_bytes) {
    throw Error(
        fmt::format("{}: {} bytes of JSON, must be at most {}", where, text.size(), max_bytes));
  }
  const auto check_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) {
      throw Error(fmt::format("{}: the JSON nests deeper than {}", where, kMaxDepth));
    }
    return true;
  };
  try {
    Json json = Json::parse(text.begin(), text.end(), check_depth);
    if (!json.is_object()) throw Error(where + ": must be a JSON object");
    return json;
  } catch (const Json::exception& fault) {
    throw Error(fmt::format("{}: not valid JSON: {}", where, printable(fault.what())));
  }
}

std::optional<std::uint64_t> to_u64(const nlohmann::json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  return {};
}

void JsonReader::fail(const std::string& key, const std::string& expected) const {
  throw Error(fmt::format("{}: {} must be {}", where_, key, expected));
}

const nlohmann::json* JsonReader::find(const std::string& key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<JsonReader> JsonReader::find_object(const std::string& key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) fail(key, "an object");
  return JsonReader(*value, fmt::format("{}: {}", where_, key));
}

std::optional<std::uint32_t> JsonReader::find_u32(const std::string& key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return {};
  const auto number = to_u64(*value);
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) {
    fail(key, "an integer of 0 to 2^32 - 1");
  }
  return static_cast<std::uint32_t>(*number);
}

std::uint32_t JsonReader::require_u32(const std::string& key) const {
  const auto value = find_u32(key);
  if (!value) throw Error(fmt::format("{}: {} is missing", where_, key));
  return *value;
}

double JsonReader::real_or(const std::string& key, double otherwise) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) fail(key, "a number");
  return value->get<double>();
}

double JsonReader::require_real(const std::string& key) const {
  if (find(key) == nullptr) throw Error(fmt::format("{}: {} is missing", where_, key));
  return real_or(key, 0);
}

bool JsonReader::flag_or(const std::string& key, bool otherwise) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(key, "true or false");
  return value->get<bool>();
}

std::string JsonReader::text_or(const std::string& key, const std::string& otherwise) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) fail(key, "a string");
  return value->get<std::string>();
}

}  // namespace mote::host
