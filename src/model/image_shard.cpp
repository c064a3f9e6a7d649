// SPDX-License-Identifier: Apache-2.0
#include "model/image_shard.hpp"

#include <array>
#include <cstddef>

#include "base/bytes.hpp"
#include "model/image_validate.hpp"

namespace mote {
namespace {

// The ranges of the section are used in place.
static_assert(sizeof(Range) == kShardRangeBytes && alignof(Range) == 4);
static_assert(offsetof(Range, first) == 0 && offsetof(Range, count) == 4);
static_assert(ShardFields::kWeights + kMaxChips == kShardHeaderBytes);

constexpr std::uint32_t kReservedEndBytes = ShardFields::kModelHash - ShardFields::kReservedEnd;
constexpr std::array<std::uint8_t, 1> kOneChip = {1};

Range load_range(std::span<const std::uint8_t> section, std::size_t offset) {
  return {load<std::uint32_t>(section, offset), load<std::uint32_t>(section, offset + 4)};
}

bool lies_within(const Range& range, std::uint32_t count) {
  return std::uint64_t{range.first} + range.count <= count;
}

bool is_valid_head_set(const HeadSet& heads, std::uint32_t n_heads) {
  if (heads.stride < 1 || heads.stride > kMaxChips) return false;
  if (heads.count == 0) return heads.first <= n_heads;
  return heads.first + std::uint64_t{heads.count - 1} * heads.stride < n_heads;
}

bool is_valid_slice(const Slice& slice, const ModelConfig& config) {
  const Slice whole = Slice::whole(config);
  return is_valid_head_set(slice.heads, config.n_heads) &&
         lies_within(slice.residual_blocks, whole.residual_blocks.count) &&
         lies_within(slice.vocabulary, whole.vocabulary.count) &&
         std::ranges::all_of(slice.hidden_by_layer, [&](const Range& range) {
           return lies_within(range, whole.hidden_blocks.count);
         });
}

/// The fields that do not depend on the model's shape; the chips' weights are `chips` long.
bool has_valid_cluster(std::span<const std::uint8_t> section) {
  const std::uint32_t chips = section[ShardFields::kChips];
  if (chips < 1 || chips > kMaxChips || section[ShardFields::kRank] >= chips) return false;
  const auto weights = section.subspan(ShardFields::kWeights, kMaxChips);
  return section[ShardFields::kPolicy] <= static_cast<std::uint8_t>(HeadPolicy::round_robin) &&
         section[ShardFields::kReserved] == 0 &&
         is_zero(section.subspan(ShardFields::kReservedEnd, kReservedEndBytes)) &&
         !is_zero(weights.first(chips)) && is_zero(weights.subspan(chips));
}

Slice decode_slice(std::span<const std::uint8_t> section, std::uint32_t period) {
  const Range first_heads = load_range(section, ShardFields::kHeads);
  const auto* hidden = reinterpret_cast<const Range*>(section.data() + ShardFields::kHiddenRanges);
  return {{first_heads.first, first_heads.count,
           load<std::uint32_t>(section, ShardFields::kHeads + sizeof(Range))},
          hidden[0],
          load_range(section, ShardFields::kResidual),
          load_range(section, ShardFields::kVocabulary),
          {hidden, period}};
}

}  // namespace

ShardInfo whole_model(const ModelConfig& config) {
  ShardInfo info;
  info.weights = kOneChip;
  info.slice = Slice::whole(config);
  return info;
}

Status decode_shard(ShardInfo& shard, const Image& image) {
  const ModelConfig& config = image.config();
  Section entry;
  if (!image.find(entry, SectionKind::shard, 0)) {
    shard = whole_model(config);
    return Status::ok;
  }
  const auto section = image.bytes().subspan(entry.offset, entry.bytes);
  if (section.size() < kShardHeaderBytes) return Status::image_bad_shard;
  const auto period = load<std::uint32_t>(section, ShardFields::kHiddenPeriod);
  if (period < 1 || period > config.n_layers ||
      section.size() != kShardHeaderBytes + std::size_t{period} * kShardRangeBytes ||
      !has_valid_cluster(section)) {
    return Status::image_bad_shard;
  }
  const Slice slice = decode_slice(section, period);
  if (!is_valid_slice(slice, config)) return Status::image_bad_shard;
  shard.rank = section[ShardFields::kRank];
  shard.chips = section[ShardFields::kChips];
  shard.policy = static_cast<HeadPolicy>(section[ShardFields::kPolicy]);
  shard.weights = section.subspan(ShardFields::kWeights, shard.chips);
  shard.model = section.subspan(ShardFields::kModelHash, 32);
  shard.slice = slice;
  return Status::ok;
}

std::uint32_t held_row_count(SectionKind kind, std::uint32_t layer, const ModelConfig& config,
                             const Slice& held) {
  switch (is_bias(kind) ? biased_kind(kind) : kind) {
    case SectionKind::token_embedding:
    case SectionKind::classifier:
      return held.vocabulary.count;
    case SectionKind::wq:
      return held.heads.count * config.head_size;
    case SectionKind::wk:
    case SectionKind::wv:
      return held.heads.kv_count(config.heads_per_kv_head()) * config.head_size;
    case SectionKind::wo:
    case SectionKind::w_down:
      return rows_of_blocks(held.residual_blocks, config.block, config.dim).count;
    case SectionKind::w_gate:
    case SectionKind::w_up:
      return rows_of_blocks(held.hidden(layer - 1), config.block, config.hidden_dim).count;
    default:
      return 0;
  }
}

}  // namespace mote
