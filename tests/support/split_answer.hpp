// SPDX-License-Identifier: Apache-2.0
// A cluster in one process against the answer of one chip, bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/in_process.hpp"
#include "support/chip_answer.hpp"
#include "support/image_factory.hpp"
#include "support/shard_factory.hpp"

namespace mote::test {

/// A shard for each chip of an even cut.
inline std::vector<std::unique_ptr<OpenImage>> make_shards(const Image& whole, HeadPolicy policy,
                                                           std::vector<std::uint8_t> weights) {
  const Cut cut(whole, policy, std::move(weights));
  std::vector<std::unique_ptr<OpenImage>> shards;
  for (std::uint32_t rank = 0; rank < cut.partition.chips(); ++rank) {
    shards.push_back(std::make_unique<OpenImage>(shard_bytes(whole, cut.info(whole, rank))));
  }
  return shards;
}
inline std::vector<const Image*> images_of(const std::vector<std::unique_ptr<OpenImage>>& shards) {
  std::vector<const Image*> images;
  for (const auto& shard : shards) images.push_back(&shard->image());
  return images;
}

/// Every token, and all that it was drawn from, on the first chip; and the same text on the others.
inline void expect_split_equals_whole(const std::vector<const Image*>& images,
                                      const host::InProcessOptions& options, const Answer& expected,
                                      const SamplerConfig& sampling) {
  host::InProcessCluster cluster(images, options);
  const std::size_t drawn = expected.logits.size();
  const auto prompt = std::span(expected.text).first(expected.text.size() - drawn);
  cluster.start(prompt, sampling, static_cast<std::uint32_t>(drawn));
  for (const Candidates& logits : expected.logits) {
    ASSERT_TRUE(cluster.next_token());
    ASSERT_EQ(listed(cluster.chip(0).node().candidates()), logits);
  }
  ASSERT_TRUE(std::ranges::equal(cluster.text(), expected.text));
  ASSERT_FALSE(cluster.next_token());
  for (std::size_t seat = 1; seat < cluster.size(); ++seat) {
    // Frames arrive at once, so that no chip is more than an exchange behind.
    const auto text = cluster.chip(seat).node().text();
    ASSERT_GE(text.size() + 1, expected.text.size());
    ASSERT_TRUE(std::ranges::equal(text, std::span(expected.text).first(text.size())));
  }
}

}  // namespace mote::test
