// SPDX-License-Identifier: Apache-2.0
// Clusters, models, questions and faults drawn from seeds.
#include <gtest/gtest.h>

#include <numeric>

#include "host/simulate/small_cluster.hpp"

namespace mote::host {
namespace {

using test::models;

std::uint64_t sum(const std::array<std::uint64_t, kRunEnds>& ends) {
  return std::accumulate(ends.begin(), ends.end(), std::uint64_t{0});
}

TEST(Swarm, three_hundred_seeds_end_with_the_tokens_of_one_chip_or_a_clear_error) {
  const SwarmResult result = run_swarm(models(), 1, 300);
  ASSERT_EQ(result.failure, "") << "seed " << result.seed << ": "
                                << describe(draw_case(models(), result.seed), models());
  const SwarmCounts& counts = result.counts;
  EXPECT_EQ(counts.runs, 300U);
  // Most runs must show something: a chip lost and its work taken over.
  const auto& all = counts.all;
  EXPECT_GE(all[std::size_t(RunEnd::exact_after_loss)], 100U);
  EXPECT_GE(all[std::size_t(RunEnd::exact)], 20U);
  for (const auto& of_kind : counts.of_kind) EXPECT_GE(sum(of_kind), 50U);
}

TEST(Swarm, a_seed_is_one_run) {
  for (std::uint64_t seed = 1000; seed < 1010; ++seed) {
    const SwarmCase one = draw_case(models(), seed);
    const SwarmCase same = draw_case(models(), seed);
    EXPECT_EQ(describe(one, models()), describe(same, models()));
    const SwarmRun first = run_case(one, models());
    const SwarmRun second = run_case(same, models());
    EXPECT_EQ(first.hash, second.hash);
    EXPECT_EQ(first.events, second.events);
    EXPECT_EQ(first.end_us, second.end_us);
  }
}

TEST(Swarm, seeds_differ) {
  const SwarmRun first = run_case(draw_case(models(), 1), models());
  const SwarmRun second = run_case(draw_case(models(), 2), models());
  EXPECT_NE(first.hash, second.hash);
}

}  // namespace
}  // namespace mote::host
