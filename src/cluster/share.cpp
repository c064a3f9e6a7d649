// SPDX-License-Identifier: Apache-2.0
#include "mote/share.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace mote {
namespace {

constexpr std::size_t kCandidateBytes = 8;

std::uint32_t items_per_row(const Transformer& transformer) {
  const std::uint32_t bytes = transformer.embedding_rows().row_bytes;
  return (bytes + kEmbeddingItemBytes - 1) / kEmbeddingItemBytes;
}

}  // namespace

/// Whether the chip has the row of a token of the batch. While the tokens are not known, the share
/// of whoever sends is taken for the row.
bool Share::owns_row(std::uint32_t position) const {
  return step_.tokens.empty() || slice_.vocabulary.contains(step_.tokens[position]);
}

std::uint32_t Share::owned_blocks() const {
  const ModelConfig& c = transformer_.config();
  switch (step_.phase.exchange) {
    case Exchange::heads:
      return slice_.heads.count * (c.head_size / c.head_block());
    case Exchange::hidden:
      return slice_.hidden(step_.phase.layer).count;
    default:
      return slice_.residual_blocks.count;
  }
}

/// The block of the whole vector at `index` of the own ones.
std::uint32_t Share::own_block(std::uint32_t index) const {
  const ModelConfig& c = transformer_.config();
  if (step_.phase.exchange == Exchange::hidden) {
    return slice_.hidden(step_.phase.layer).first + index;
  }
  if (step_.phase.exchange != Exchange::heads) return slice_.residual_blocks.first + index;
  const std::uint32_t blocks = c.head_size / c.head_block();
  return slice_.heads.head(index / blocks) * blocks + index % blocks;
}

/// Lanes of a block without its padding.
std::uint32_t Share::block_lanes(std::uint32_t block) const {
  const ModelConfig& c = transformer_.config();
  if (step_.phase.exchange == Exchange::heads) return c.head_block();
  const std::uint32_t lanes = step_.phase.exchange == Exchange::hidden ? c.hidden_dim : c.dim;
  return std::min<std::uint32_t>(c.block, lanes - block * c.block);
}

std::uint32_t Share::item_count() const {
  if (step_.is_text) {
    const std::size_t tokens = gives_text_ ? memory_.text.size() : 0;
    return static_cast<std::uint32_t>((tokens + kTextItemTokens - 1) / kTextItemTokens);
  }
  if (is_candidates()) return std::min<std::uint32_t>(memory_.k, slice_.vocabulary.count);
  if (!is_embedding()) {
    return owned_blocks() * step_.positions().count;
  }
  std::uint32_t rows = 0;
  for (std::uint32_t i = 0; i < step_.count; ++i) rows += owns_row(i) ? 1 : 0;
  return rows * items_per_row(transformer_);
}

std::span<std::uint32_t> Share::text_item(std::uint32_t item) const {
  const std::size_t first = std::size_t{item} * kTextItemTokens;
  return memory_.text.subspan(first,
                              std::min<std::size_t>(kTextItemTokens, memory_.text.size() - first));
}

/// The bytes of an item where they stand.
std::span<std::uint8_t> Share::embedding_item(std::uint32_t item) const {
  const std::uint32_t per_row = items_per_row(transformer_);
  std::uint32_t rows = item / per_row;
  std::uint32_t position = 0;
  while (!owns_row(position) || rows != 0) {
    if (owns_row(position)) --rows;
    ++position;
  }
  const auto row = transformer_.embedding_rows().row(position);
  const std::size_t first = std::size_t{item % per_row} * kEmbeddingItemBytes;
  return row.subspan(first, std::min<std::size_t>(kEmbeddingItemBytes, row.size() - first));
}

std::size_t Share::item_bytes(std::uint32_t item) const {
  if (step_.is_text) return text_item(item).size_bytes();
  if (is_candidates()) return kCandidateBytes;
  if (is_embedding()) return embedding_item(item).size();
  return sizeof(Scale16) + block_lanes(own_block(item % owned_blocks()));
}

void Share::write_item(std::uint8_t* out, std::uint32_t item) const {
  if (step_.is_text) {
    std::memcpy(out, text_item(item).data(), item_bytes(item));
  } else if (is_candidates()) {
    std::memcpy(out, &memory_.candidates[std::size_t{rank_} * memory_.k + item], kCandidateBytes);
  } else if (is_embedding()) {
    std::ranges::copy(embedding_item(item), out);
  } else {
    const BlockVectors& vectors = transformer_.vectors(step_.phase.exchange);
    const std::uint32_t block = own_block(item % owned_blocks());
    const std::uint32_t position = step_.positions().first + item / owned_blocks();
    std::memcpy(out, &vectors.row_scales(position)[block], sizeof(Scale16));
    std::memcpy(out + sizeof(Scale16), vectors.row(position) + block * vectors.block,
                block_lanes(block));
  }
}

void Share::read_item(const std::uint8_t* bytes, std::uint32_t item) const {
  if (step_.is_text) {
    std::memcpy(text_item(item).data(), bytes, item_bytes(item));
  } else if (is_candidates()) {
    std::memcpy(&memory_.candidates[std::size_t{rank_} * memory_.k + item], bytes, kCandidateBytes);
  } else if (is_embedding()) {
    const auto part = embedding_item(item);
    std::copy_n(bytes, part.size(), part.begin());
  } else {
    const BlockVectors& vectors = transformer_.vectors(step_.phase.exchange);
    const std::uint32_t block = own_block(item % owned_blocks());
    const std::uint32_t position = step_.positions().first + item / owned_blocks();
    std::memcpy(&vectors.row_scales(position)[block], bytes, sizeof(Scale16));
    std::memcpy(vectors.row(position) + block * vectors.block, bytes + sizeof(Scale16),
                block_lanes(block));
  }
}

/// Whether the lanes of a block are such as quantisation makes, for which kernels have room: not
/// -128. Other items may have any bytes.
bool Share::is_valid_item(const std::uint8_t* bytes, std::uint32_t item) const {
  if (step_.is_text || is_candidates() || is_embedding()) return true;
  const std::span lanes(bytes + sizeof(Scale16), item_bytes(item) - sizeof(Scale16));
  return std::ranges::find(lanes, std::uint8_t{0x80}) == lanes.end();
}

std::size_t Share::write(std::span<std::uint8_t> out, std::uint32_t first, std::uint32_t end,
                         std::uint32_t& next) const {
  std::size_t bytes = 0;
  for (next = first; next < end; ++next) {
    const std::size_t size = item_bytes(next);
    if (bytes + size > out.size()) break;
    write_item(&out[bytes], next);
    bytes += size;
  }
  return bytes;
}

bool Share::read(std::span<const std::uint8_t> bytes, std::uint32_t first,
                 std::uint32_t& next) const {
  const std::uint32_t items = item_count();
  std::size_t size = 0;
  for (next = first; next < items && size < bytes.size(); ++next) size += item_bytes(next);
  if (size != bytes.size()) return false;
  size = 0;
  for (std::uint32_t item = first; item < next; ++item) {
    if (!is_valid_item(&bytes[size], item)) return false;
    size += item_bytes(item);
  }
  size = 0;
  for (std::uint32_t item = first; item < next; ++item) {
    read_item(&bytes[size], item);
    size += item_bytes(item);
  }
  return true;
}

}  // namespace mote
