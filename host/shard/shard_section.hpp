// SPDX-License-Identifier: Apache-2.0
// What one chip holds of a model, as rows and as the section that says so (SPEC.md, "Shard").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mote/image.hpp"
#include "mote/partition.hpp"

namespace mote::host {

/// Rows of the whole model's matrix, or biases, of `kind` that a chip with `slice` holds, rising;
/// `layer` counts from 1, 0 for the embedding and the classifier. Empty for what is no matrix.
std::vector<Range> rows_of_slice(SectionKind kind, std::uint32_t layer, const ModelConfig& config,
                                 const Slice& slice);

/// What the shard of `rank` says of itself. It refers to the bytes of `whole`, to `weights` (one a
/// chip, those that `partition` was made with) and to the table of `partition`.
ShardInfo describe_shard(const Image& whole, const Partition& partition,
                         std::span<const std::uint8_t> weights, std::uint32_t rank);

/// The bytes of the shard section.
std::vector<std::uint8_t> encode_shard(const ShardInfo& shard);

}  // namespace mote::host
