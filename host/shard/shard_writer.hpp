// SPDX-License-Identifier: Apache-2.0
// Writes one chip's part of a model as an image of its own (SPEC.md, "Shard").
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mote/image.hpp"

namespace mote::host {

struct ShardReport {
  std::uint64_t image_bytes = 0;
  std::uint64_t weight_bytes = 0;     // of matrices, biases and gains, scales included
  std::uint64_t tokenizer_bytes = 0;  // 0: no tokenizer
  std::vector<std::uint8_t> hash;     // (32) content hash of the shard
};

/// Bytes written so far and altogether.
using ShardProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Writes the rows of `shard.slice` out of `whole`, which is no shard, and all that is small; the
/// tokenizer goes to rank 0 alone. Throws `Error` that names the path where it cannot be written.
ShardReport write_shard(const std::string& out_path, const Image& whole, const ShardInfo& shard,
                        const ShardProgress& progress = {});

}  // namespace mote::host
