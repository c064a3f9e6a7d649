// SPDX-License-Identifier: Apache-2.0
#include "support/gguf_writer.hpp"

#include <bit>

#include "support/gguf_quantize.hpp"

namespace mote::test {
namespace {

using Bytes = GgufWriter::Bytes;
using host::GgufValueType;

std::uint32_t code(GgufValueType type) {
  return static_cast<std::uint32_t>(type);
}

/// The head of an array: the type of its elements and their number.
Bytes array_head(GgufValueType type, std::size_t count) {
  Bytes bytes;
  append_bytes(bytes, code(type), 4);
  append_bytes(bytes, count, 8);
  return bytes;
}

void pad(Bytes& bytes) {
  while (bytes.size() % GgufWriter::kAlignment != 0) bytes.push_back(0);
}

}  // namespace

void append_bytes(Bytes& out, std::uint64_t value, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

void append_string(Bytes& out, const std::string& text) {
  append_bytes(out, text.size(), 8);
  out.insert(out.end(), text.begin(), text.end());
}

void GgufWriter::add_raw(const std::string& key, std::uint32_t type, const Bytes& bytes) {
  append_string(values_, key);
  append_bytes(values_, type, 4);
  values_.insert(values_.end(), bytes.begin(), bytes.end());
  ++value_count_;
}

void GgufWriter::add_u32(const std::string& key, std::uint32_t value) {
  Bytes bytes;
  append_bytes(bytes, value, 4);
  add_raw(key, code(GgufValueType::u32), bytes);
}

void GgufWriter::add_f32(const std::string& key, float value) {
  Bytes bytes;
  append_bytes(bytes, std::bit_cast<std::uint32_t>(value), 4);
  add_raw(key, code(GgufValueType::f32), bytes);
}

void GgufWriter::add_bool(const std::string& key, bool value) {
  add_raw(key, code(GgufValueType::boolean), {static_cast<std::uint8_t>(value ? 1 : 0)});
}

void GgufWriter::add_string(const std::string& key, const std::string& value) {
  Bytes bytes;
  append_string(bytes, value);
  add_raw(key, code(GgufValueType::string), bytes);
}

void GgufWriter::add_strings(const std::string& key, const std::vector<std::string>& values) {
  Bytes bytes = array_head(GgufValueType::string, values.size());
  for (const std::string& value : values) append_string(bytes, value);
  add_raw(key, code(GgufValueType::array), bytes);
}

void GgufWriter::add_f32s(const std::string& key, const std::vector<float>& values) {
  Bytes bytes = array_head(GgufValueType::f32, values.size());
  for (const float value : values) append_bytes(bytes, std::bit_cast<std::uint32_t>(value), 4);
  add_raw(key, code(GgufValueType::array), bytes);
}

void GgufWriter::add_i32s(const std::string& key, const std::vector<std::int32_t>& values) {
  Bytes bytes = array_head(GgufValueType::i32, values.size());
  for (const std::int32_t value : values) {
    append_bytes(bytes, static_cast<std::uint32_t>(value), 4);
  }
  add_raw(key, code(GgufValueType::array), bytes);
}

void GgufWriter::declare_tensor(const std::string& name, const std::vector<std::uint64_t>& extents,
                                host::GgufType type) {
  const host::GgufTypeInfo& info = host::gguf_type_info(type);
  std::uint64_t size = info.block_bytes;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    size *= i == 0 ? extents[i] / info.block_values : extents[i];
  }
  tensors_.push_back({name, extents, type, data_bytes_, {}});
  data_bytes_ += (size + kAlignment - 1) / kAlignment * kAlignment;
}

void GgufWriter::add_tensor(const std::string& name, const std::vector<std::uint64_t>& extents,
                            host::GgufType type, std::span<const float> values) {
  declare_tensor(name, extents, type);
  tensors_.back().bytes = quantize_gguf(values, type);
}

Bytes GgufWriter::header() const {
  Bytes out = {'G', 'G', 'U', 'F'};
  append_bytes(out, version_, 4);
  append_bytes(out, tensors_.size(), 8);
  append_bytes(out, value_count_, 8);
  out.insert(out.end(), values_.begin(), values_.end());
  for (const Tensor& tensor : tensors_) {
    append_string(out, tensor.name);
    append_bytes(out, tensor.extents.size(), 4);
    for (const std::uint64_t extent : tensor.extents) append_bytes(out, extent, 8);
    append_bytes(out, static_cast<std::uint32_t>(tensor.type), 4);
    append_bytes(out, tensor.offset, 8);
  }
  pad(out);
  return out;
}

Bytes GgufWriter::file() const {
  Bytes out = header();
  for (const Tensor& tensor : tensors_) {
    out.insert(out.end(), tensor.bytes.begin(), tensor.bytes.end());
    pad(out);
  }
  return out;
}

}  // namespace mote::test
