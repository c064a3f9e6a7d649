// SPDX-License-Identifier: Apache-2.0
// How `mote shard` shows what it wrote.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "shard/shard_writer.hpp"

namespace mote::host {

struct ShardFile {
  std::string path;
  ShardReport report;
};

/// The shards of one model, in order of rank.
struct ShardSet {
  std::string model;               // path of the whole image
  std::uint64_t model_bytes = 0;   // of the whole image
  std::vector<std::uint8_t> hash;  // (32) of the whole image
  HeadPolicy policy = HeadPolicy::contiguous;
  std::vector<std::uint8_t> weights;  // (chips)
  std::vector<ShardFile> files;       // (chips)
};

/// A line a shard and a line of their sum, for people.
std::string format_shard_table(const ShardSet& set);

/// The same as JSON: {"model": path, ..., "shards": [{"rank": 0, "file": path, ...}], "bytes": n}.
std::string format_shard_json(const ShardSet& set);

}  // namespace mote::host
