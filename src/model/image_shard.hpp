// SPDX-License-Identifier: Apache-2.0
// What an image holds: the whole model, or one chip's part of it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "mote/image.hpp"

namespace mote {

/// Places in the shard section (SPEC.md, "Shard").
struct ShardFields {
  static constexpr std::uint32_t kRank = 0;
  static constexpr std::uint32_t kChips = 1;
  static constexpr std::uint32_t kPolicy = 2;
  static constexpr std::uint32_t kReserved = 3;  // (1)
  static constexpr std::uint32_t kHiddenPeriod = 4;
  static constexpr std::uint32_t kHeads = 8;
  static constexpr std::uint32_t kResidual = 20;
  static constexpr std::uint32_t kVocabulary = 28;
  static constexpr std::uint32_t kReservedEnd = 36;  // (12)
  static constexpr std::uint32_t kModelHash = 48;    // (32)
  static constexpr std::uint32_t kWeights = 80;      // (kMaxChips)
  static constexpr std::uint32_t kHiddenRanges = kShardHeaderBytes;
};

/// What a whole image says of itself: all rows, on one chip.
ShardInfo whole_model(const ModelConfig& config);

/// Sets `shard` from the section of `image`, or to the whole model where there is none; the
/// configuration is known. `image_bad_shard` where a field breaks a rule of SPEC.md.
Status decode_shard(ShardInfo& shard, const Image& image);

/// The rows, of `rows`, that lie in blocks of `block` rows; the last block may be cut short.
constexpr Range rows_of_blocks(const Range& blocks, std::uint32_t block, std::uint32_t rows) {
  const std::uint32_t first = std::min<std::uint32_t>(blocks.first * block, rows);
  return {first, std::min<std::uint32_t>(blocks.end() * block, rows) - first};
}

/// Rows that the matrix of `kind`, or biases that the section of `kind` has where `held` is held;
/// `layer` counts from 1, 0 for the embedding and the classifier. 0 for all other kinds.
std::uint32_t held_row_count(SectionKind kind, std::uint32_t layer, const ModelConfig& config,
                             const Slice& held);

}  // namespace mote
