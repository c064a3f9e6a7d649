// SPDX-License-Identifier: Apache-2.0
// Shards for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mote/partition.hpp"
#include "shard/shard_section.hpp"
#include "shard/shard_writer.hpp"
#include "support/spec_image.hpp"
#include "support/temporary_file.hpp"

namespace mote::test {

/// One shard of a whole image, as a file has it.
inline Bytes shard_bytes(const Image& whole, const ShardInfo& info) {
  const host::TemporaryFile file("mote-test");
  const host::ShardReport report = host::write_shard(file.path(), whole, info);
  Bytes bytes = read_file(file.path());
  EXPECT_EQ(report.image_bytes, bytes.size());
  EXPECT_TRUE(std::ranges::equal(report.hash, std::span(bytes).subspan(32, 32)));
  return bytes;
}

/// A model cut over chips, with the tables that the cut refers to.
struct Cut {
  Cut(const Image& whole, HeadPolicy policy, std::vector<std::uint8_t> chip_weights)
      : weights(std::move(chip_weights)),
        table(Partition::table_count(whole.config(), static_cast<std::uint32_t>(weights.size()))) {
    EXPECT_EQ(partition.init(whole.config(), policy, weights, table), Status::ok);
  }
  ShardInfo info(const Image& whole, std::uint32_t rank) const {
    return host::describe_shard(whole, partition, weights, rank);
  }

  std::vector<std::uint8_t> weights;
  std::vector<Range> table;
  Partition partition;
};

}  // namespace mote::test
