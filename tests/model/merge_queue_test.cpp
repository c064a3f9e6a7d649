// SPDX-License-Identifier: Apache-2.0
#include "model/merge_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace mote {
namespace {

TEST(MergeQueue, GivesTheLowestRankAndOfEqualsTheLeftmost) {
  std::mt19937 random(5);
  for (std::size_t size = 1; size <= 70; ++size) {
    std::vector<std::uint32_t> ranks(size);
    for (auto& rank : ranks)
      rank = random() % 3 == 0 ? kNoRank : static_cast<std::uint32_t>(random() % 9);
    std::vector<std::uint32_t> words = ranks;
    MergeQueue queue(words);
    for (int change = 0; change < 200; ++change) {
      const auto best = std::ranges::min_element(ranks) - ranks.begin();
      ASSERT_EQ(queue.best(), static_cast<std::size_t>(best)) << size;
      const std::size_t place = random() % size;
      ranks[place] = change % 4 == 0 ? kNoRank : static_cast<std::uint32_t>(random() % 9);
      queue.set_rank(place, ranks[place]);
      ASSERT_EQ(queue.rank(place), ranks[place]);
    }
  }
}

}  // namespace
}  // namespace mote
