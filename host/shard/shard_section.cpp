// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_section.hpp"

#include <algorithm>
#include <functional>

#include "model/image_shard.hpp"
#include "support/little_endian.hpp"

namespace mote::host {
namespace {

std::vector<Range> head_rows(std::uint32_t head_size, std::uint32_t count,
                             const std::function<std::uint32_t(std::uint32_t)>& head_at) {
  std::vector<Range> rows;
  for (std::uint32_t i = 0; i < count; ++i) rows.push_back({head_at(i) * head_size, head_size});
  return rows;
}

void store_range(std::uint8_t* out, const Range& range) {
  store_u32(out, range.first);
  store_u32(out + 4, range.count);
}

void store_heads(std::uint8_t* out, const HeadSet& heads) {
  store_u32(out, heads.first);
  store_u32(out + 4, heads.count);
  store_u32(out + 8, heads.stride);
}

}  // namespace

std::vector<Range> rows_of_slice(SectionKind kind, std::uint32_t layer, const ModelConfig& config,
                                 const Slice& slice) {
  const HeadSet& heads = slice.heads;
  const std::uint32_t group = config.heads_per_kv_head();
  switch (is_bias(kind) ? biased_kind(kind) : kind) {
    case SectionKind::token_embedding:
    case SectionKind::classifier:
      return {slice.vocabulary};
    case SectionKind::wq:
      return head_rows(config.head_size, heads.count,
                       [&](std::uint32_t i) { return heads.head(i); });
    case SectionKind::wk:
    case SectionKind::wv:
      return head_rows(config.head_size, heads.kv_count(group),
                       [&](std::uint32_t i) { return heads.kv_head(i, group); });
    case SectionKind::wo:
    case SectionKind::w_down:
      return {rows_of_blocks(slice.residual_blocks, config.block, config.dim)};
    case SectionKind::w_gate:
    case SectionKind::w_up:
      return {rows_of_blocks(slice.hidden(layer - 1), config.block, config.hidden_dim)};
    default:
      return {};
  }
}

ShardInfo describe_shard(const Image& whole, const Partition& partition,
                         std::span<const std::uint8_t> weights, std::uint32_t rank) {
  return {rank,    partition.chips(),    partition.policy(),
          weights, whole.content_hash(), partition.slice(rank)};
}

std::vector<std::uint8_t> encode_shard(const ShardInfo& shard) {
  const Slice& slice = shard.slice;
  std::vector<Range> hidden(slice.hidden_by_layer.begin(), slice.hidden_by_layer.end());
  if (hidden.empty()) hidden.push_back(slice.hidden_blocks);
  std::vector<std::uint8_t> out(kShardHeaderBytes + hidden.size() * kShardRangeBytes);
  out[ShardFields::kRank] = static_cast<std::uint8_t>(shard.rank);
  out[ShardFields::kChips] = static_cast<std::uint8_t>(shard.chips);
  out[ShardFields::kPolicy] = static_cast<std::uint8_t>(shard.policy);
  store_u32(&out[ShardFields::kHiddenPeriod], static_cast<std::uint32_t>(hidden.size()));
  store_heads(&out[ShardFields::kHeads], slice.heads);
  store_range(&out[ShardFields::kResidual], slice.residual_blocks);
  store_range(&out[ShardFields::kVocabulary], slice.vocabulary);
  std::ranges::copy(shard.model, out.begin() + ShardFields::kModelHash);
  std::ranges::copy(shard.weights, out.begin() + ShardFields::kWeights);
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    store_range(&out[ShardFields::kHiddenRanges + i * kShardRangeBytes], hidden[i]);
  }
  return out;
}

}  // namespace mote::host
