// SPDX-License-Identifier: Apache-2.0
#include "convert/llama2c_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "convert/checkpoint_shape.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are copied, not decoded");

constexpr std::uint64_t kLegacyHeaderBytes = 28;
constexpr std::uint64_t kHeaderBytes = 256;
constexpr std::size_t kSharedClassifierOffset = 36;
constexpr std::size_t kGroupSizeOffset = 37;
constexpr std::int64_t kMaxGroupSize = 1 << 16;

constexpr std::array kLegacyOrder = {TensorName::token_embedding,
                                     TensorName::attention_norm,
                                     TensorName::wq,
                                     TensorName::wk,
                                     TensorName::wv,
                                     TensorName::wo,
                                     TensorName::ffn_norm,
                                     TensorName::w_gate,
                                     TensorName::w_down,
                                     TensorName::w_up,
                                     TensorName::final_norm};
constexpr std::array kVersionedOrder = {TensorName::attention_norm,
                                        TensorName::ffn_norm,
                                        TensorName::final_norm,
                                        TensorName::token_embedding,
                                        TensorName::wq,
                                        TensorName::wk,
                                        TensorName::wv,
                                        TensorName::wo,
                                        TensorName::w_gate,
                                        TensorName::w_down,
                                        TensorName::w_up};

std::int32_t load_i32(std::span<const std::uint8_t> bytes, std::size_t offset) {
  std::int32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

void require_bytes(std::span<const std::uint8_t> bytes, std::uint64_t needed,
                   const std::string& path) {
  if (bytes.size() >= needed) return;
  throw Error(fmt::format("{}: the file has {} bytes, a llama2.c header needs {}", path,
                          bytes.size(), needed));
}

std::uint32_t checked(std::int64_t value, std::string_view field, std::int64_t high,
                      const std::string& path) {
  check_range(path, field, value, 1, high);
  return static_cast<std::uint32_t>(value);
}

/// The seven numbers that all versions share, from `offset` on. The sign of vocab_size is dropped.
CheckpointShape read_shape(std::span<const std::uint8_t> bytes, std::size_t offset,
                           const std::string& path) {
  CheckpointShape shape;
  shape.dim = checked(load_i32(bytes, offset), "dim", kMaxDim, path);
  shape.hidden_dim = checked(load_i32(bytes, offset + 4), "hidden_dim", kMaxHiddenDim, path);
  shape.n_layers = checked(load_i32(bytes, offset + 8), "n_layers", kMaxLayers, path);
  shape.n_heads = checked(load_i32(bytes, offset + 12), "n_heads", kMaxDim, path);
  shape.n_kv_heads = checked(load_i32(bytes, offset + 16), "n_kv_heads", shape.n_heads, path);
  const std::int64_t vocab_size = load_i32(bytes, offset + 20);
  shape.vocab_size =
      checked(vocab_size < 0 ? -vocab_size : vocab_size, "vocab_size", kMaxVocabulary, path);
  shape.context_length = checked(load_i32(bytes, offset + 24), "seq_len", kMaxContext, path);
  if (shape.dim % shape.n_heads != 0) {
    throw Error(
        fmt::format("{}: n_heads is {}, must divide dim, {}", path, shape.n_heads, shape.dim));
  }
  shape.head_size = shape.dim / shape.n_heads;
  check_shape(path, shape);
  return shape;
}

Llama2cLayout read_legacy_header(std::span<const std::uint8_t> bytes, const std::string& path) {
  require_bytes(bytes, kLegacyHeaderBytes, path);
  Llama2cLayout layout;
  // Without a magic this may be any file, which the message should let people see.
  layout.shape = read_shape(bytes, 0, path + ": as a legacy llama2.c model");
  layout.shape.has_classifier = load_i32(bytes, 20) < 0;
  return layout;
}

Llama2cLayout read_versioned_header(std::span<const std::uint8_t> bytes, const std::string& path) {
  require_bytes(bytes, kHeaderBytes, path);
  Llama2cLayout layout;
  const std::int32_t version = load_i32(bytes, 4);
  check_range(path, "llama2.c version", version, 1, 2);
  layout.version = static_cast<Llama2cVersion>(version);
  layout.shape = read_shape(bytes, 8, path);
  check_range(path, "vocab_size", load_i32(bytes, 28), 1, kMaxVocabulary);
  check_range(path, "shared_classifier", bytes[kSharedClassifierOffset], 0, 1);
  layout.shape.has_classifier = bytes[kSharedClassifierOffset] == 0;
  std::size_t used = kGroupSizeOffset;
  if (layout.version == Llama2cVersion::version2) {
    layout.group_size =
        checked(load_i32(bytes, kGroupSizeOffset), "group_size", kMaxGroupSize, path);
    used += sizeof(std::int32_t);
  }
  const auto padding = bytes.subspan(used, kHeaderBytes - used);
  if (std::any_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte != 0; })) {
    throw Error(fmt::format("{}: bytes {} to 255 of the header must be zero", path, used));
  }
  return layout;
}

/// Bytes of one tensor of one layer.
std::uint64_t tensor_bytes(const Llama2cLayout& layout, TensorName tensor,
                           const std::string& path) {
  const std::uint64_t size = tensor_extent(layout.shape, tensor).size();
  if (layout.group_size == 0 || is_norm(tensor)) return size * sizeof(float);
  if (size % layout.group_size != 0) {
    throw Error(fmt::format("{}: group_size is {}, must divide the {} values of {}", path,
                            layout.group_size, size, tensor_label(tensor, 0)));
  }
  return size + size / layout.group_size * sizeof(float);
}

/// Places `tensor` of all layers at `offset`; returns its end.
std::uint64_t place_tensor(Llama2cLayout& layout, TensorName tensor, std::uint64_t offset,
                           const std::string& path) {
  const std::uint64_t bytes = tensor_bytes(layout, tensor, path);
  layout.places.at(static_cast<std::size_t>(tensor)) = {offset, bytes};
  return offset + bytes * (belongs_to_layer(tensor) ? layout.shape.n_layers : 1);
}

/// Places all tensors; returns the bytes of the file.
std::uint64_t place_tensors(Llama2cLayout& layout, const std::string& path) {
  const bool legacy = layout.version == Llama2cVersion::legacy;
  std::uint64_t offset = legacy ? kLegacyHeaderBytes : kHeaderBytes;
  for (const TensorName tensor : legacy ? kLegacyOrder : kVersionedOrder) {
    offset = place_tensor(layout, tensor, offset, path);
  }
  if (legacy) {
    // Cosines and sines, half a head of each for every position; nobody reads them any more.
    offset += std::uint64_t{layout.shape.context_length} * layout.shape.head_size * sizeof(float);
  }
  if (layout.shape.has_classifier) {
    offset = place_tensor(layout, TensorName::classifier, offset, path);
  }
  return offset;
}

}  // namespace

Llama2cLayout read_llama2c_layout(std::span<const std::uint8_t> bytes, const std::string& path) {
  require_bytes(bytes, sizeof kLlama2cMagic, path);
  const bool has_magic = static_cast<std::uint32_t>(load_i32(bytes, 0)) == kLlama2cMagic;
  Llama2cLayout layout =
      has_magic ? read_versioned_header(bytes, path) : read_legacy_header(bytes, path);
  const std::uint64_t needed = place_tensors(layout, path);
  if (bytes.size() != needed) {
    throw Error(fmt::format("{}: the file has {} bytes, its llama2.c header demands {}", path,
                            bytes.size(), needed));
  }
  return layout;
}

}  // namespace mote::host
