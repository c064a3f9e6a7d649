// SPDX-License-Identifier: Apache-2.0
// Each kind of fault by itself: the tokens are those of one chip, or an error names a chip.
#include <gtest/gtest.h>

#include <string>

#include "host/simulate/small_cluster.hpp"

namespace mote::host {
namespace {

using test::fault_of;
using test::give_shards;
using test::models;
using test::small_cluster;

constexpr Topology kTopologies[] = {Topology::ring, Topology::star, Topology::broadcast};

SwarmRun run(const SwarmCase& one) {
  return run_case(one, models());
}

/// The answer comes, and it is the right one; `sessions` at least were needed.
SwarmRun expect_exact(const SwarmCase& one, std::uint32_t sessions) {
  const SwarmRun result = run(one);
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(result.error, "");
  EXPECT_GE(result.sessions, sessions);
  return result;
}

TEST(Faults, without_any_there_is_one_session) {
  for (const Topology topology : kTopologies) {
    for (std::uint32_t chips = 1; chips <= 8; ++chips) {
      SCOPED_TRACE(testing::Message() << "topology " << int(topology) << ", chips " << chips);
      const SwarmRun result = expect_exact(small_cluster(topology, chips), 1);
      EXPECT_EQ(result.sessions, 1U);
      EXPECT_LT(result.end_us, 80'000U);
    }
  }
}

TEST(Faults, frames_that_chance_spoils_cost_time_only) {
  for (const Topology topology : kTopologies) {
    for (const FaultKind kind : {FaultKind::drop, FaultKind::corrupt, FaultKind::duplicate,
                                 FaultKind::reorder, FaultKind::delay}) {
      SCOPED_TRACE(testing::Message() << fault_name(kind) << ", topology " << int(topology));
      SwarmCase one = small_cluster(topology, 5);
      FaultRates& rates = one.simulation.faults.rates;
      if (kind == FaultKind::drop) rates.drop = 0.05;
      if (kind == FaultKind::corrupt) rates.corrupt = 0.05;
      if (kind == FaultKind::duplicate) rates.duplicate = 0.2;
      if (kind == FaultKind::reorder) rates.reorder = 0.1;
      if (kind == FaultKind::delay) rates.delay = 0.1;
      rates.delay_us = 5000;
      const SwarmRun result = expect_exact(one, 1);
      const NetworkCounters& network = result.network;
      EXPECT_GT(network.dropped + network.corrupted + network.duplicated + network.reordered +
                    network.delayed,
                10U);
    }
  }
}

TEST(Faults, the_other_chips_take_over_what_a_lost_one_had) {
  for (const Topology topology : kTopologies) {
    for (const FaultKind kind : {FaultKind::reset, FaultKind::partition, FaultKind::flash}) {
      SCOPED_TRACE(testing::Message() << fault_name(kind) << ", topology " << int(topology));
      SwarmCase one = small_cluster(topology, 4);
      one.simulation.faults.timed = {fault_of(kind, 2, 6, 0)};
      EXPECT_FALSE(may_fail(one.simulation));
      const SwarmRun result = expect_exact(one, 2);
      EXPECT_EQ(result.end, RunEnd::exact_after_loss);
      EXPECT_LT(result.end_us, 400'000U);
    }
  }
}

TEST(Faults, seat_0_goes_on_alone_when_all_others_are_lost) {
  for (const Topology topology : kTopologies) {
    SwarmCase one = small_cluster(topology, 4);
    for (std::uint32_t seat = 1; seat < 4; ++seat) {
      one.simulation.faults.timed.push_back(fault_of(FaultKind::reset, seat, 4 + seat, 0));
    }
    expect_exact(one, 2);
  }
}

TEST(Faults, a_wire_that_dies_for_ever_costs_a_chip) {
  for (const Topology topology : {Topology::ring, Topology::broadcast}) {
    SwarmCase one = small_cluster(topology, 6);
    TimedFault wire = fault_of(FaultKind::partition, 3, 6, 0);
    wire.other = 4;
    one.simulation.faults.timed = {wire};
    EXPECT_FALSE(may_fail(one.simulation));
    expect_exact(one, 2);
  }
}

TEST(Faults, a_slow_chip_is_waited_for) {
  for (const bool single_context : {false, true}) {
    SwarmCase one = small_cluster(Topology::ring, 4);
    one.simulation.single_context = single_context;
    one.simulation.faults.timed = {fault_of(FaultKind::slow, 1, 5, 0)};
    const SwarmRun result = expect_exact(one, 1);
    EXPECT_EQ(result.sessions, 1U);
  }
}

TEST(Faults, a_chip_that_starts_anew_is_taken_in_again) {
  SwarmCase one = small_cluster(Topology::ring, 4);
  give_shards(one, 4);
  one.simulation.faults.timed = {fault_of(FaultKind::reset, 2, 6, 100)};
  EXPECT_FALSE(may_fail(one.simulation));
  const SwarmRun result = expect_exact(one, 2);
  EXPECT_GT(result.end_us, 106'000U) << "nobody else had its shard";
}

TEST(Faults, a_chip_that_did_not_hear_of_a_session_comes_back) {
  for (const Topology topology : kTopologies) {
    // As long as the silence after which each gives the other up: either may do so first.
    for (std::uint64_t ms = 8; ms < 20; ++ms) {
      SCOPED_TRACE(testing::Message() << "from " << ms << " ms, topology " << int(topology));
      SwarmCase one = small_cluster(topology, 5);
      give_shards(one, 5);
      one.simulation.faults.timed = {fault_of(FaultKind::reset, 3, 5, ms - 3),
                                     fault_of(FaultKind::partition, 4, ms, 56),
                                     fault_of(FaultKind::reset, 1, ms, 187)};
      EXPECT_LT(expect_exact(one, 2).end_us, 1'000'000U);
    }
  }
}

TEST(Faults, a_spare_takes_over_a_shard) {
  for (const Topology topology : kTopologies) {
    for (const FaultKind kind : {FaultKind::reset, FaultKind::flash}) {
      SCOPED_TRACE(testing::Message() << fault_name(kind) << ", topology " << int(topology));
      SwarmCase one = small_cluster(topology, 5);
      give_shards(one, 4);
      one.simulation.faults.timed = {fault_of(kind, 2, 6, 0)};
      EXPECT_FALSE(may_fail(one.simulation));
      expect_exact(one, 2);
    }
  }
}

TEST(Faults, spares_between_shards_pass_blocks_on) {
  SwarmCase one = small_cluster(Topology::ring, 6, 3);
  give_shards(one, 2);
  std::swap(one.simulation.chips[1], one.simulation.chips[3]);
  EXPECT_EQ(expect_exact(one, 1).sessions, 1U);
}

TEST(Faults, a_shard_that_nobody_has_is_named) {
  SwarmCase one = small_cluster(Topology::ring, 4);
  give_shards(one, 4);
  one.simulation.faults.timed = {fault_of(FaultKind::reset, 2, 6, 0)};
  one.may_fail = true;
  EXPECT_TRUE(may_fail(one.simulation));
  const SwarmRun result = run(one);
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(result.end, RunEnd::error);
  EXPECT_EQ(result.error.rfind("chip 2: ", 0), 0U) << result.error;
}

TEST(Faults, a_damaged_image_is_out_until_it_is_replaced) {
  SwarmCase one = small_cluster(Topology::ring, 3);
  give_shards(one, 3);
  one.simulation.faults.timed = {fault_of(FaultKind::flash, 1, 6, 150)};
  one.simulation.faults.timed[0].bit = one.simulation.chips[1].image.size() * 4;
  const SwarmRun result = expect_exact(one, 2);
  EXPECT_GT(result.end_us, 156'000U);
}

TEST(Faults, the_question_is_asked_again_where_its_chip_has_started_anew) {
  for (const Topology topology : kTopologies) {
    SwarmCase one = small_cluster(topology, 4);
    one.simulation.faults.timed = {fault_of(FaultKind::reset, 0, 6, 5)};
    const SwarmRun result = expect_exact(one, 1);
    EXPECT_EQ(result.questions, 2U);
  }
}

TEST(Faults, chips_leave_the_session_of_one_that_is_gone) {
  SwarmCase one = small_cluster(Topology::star, 4);
  one.simulation.faults.timed = {fault_of(FaultKind::reset, 0, 6, 0)};
  one.may_fail = true;
  const SwarmRun result = run(one);
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(result.end, RunEnd::coordinator_gone);
}

}  // namespace
}  // namespace mote::host
