// SPDX-License-Identifier: Apache-2.0
#include "plan/cost_card.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "mote/all_gather.hpp"
#include "support/random.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kMostChips = 17;

LinkCard a_link() {
  return {"link", "link", 1e6, 30, kMaxFrameBytes, false};
}

std::vector<ShareSize> equal_shares(std::size_t chips) {
  return std::vector<ShareSize>(chips, ShareSize{84, 1});  // 100 bytes on the wire: 130 us
}

TEST(CostCard, one_chip_gathers_nothing) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    const GatherCost cost = gather_cost(topology, equal_shares(1), a_link());
    EXPECT_EQ(cost.steps, 0U);
    EXPECT_EQ(cost.time_us, 0);
    EXPECT_EQ(cost.chips.at(0).messages, 0U);
    EXPECT_TRUE(cost.link_payload_bytes.empty());
  }
}

TEST(CostCard, a_ring_takes_half_as_many_steps_as_chips) {
  for (std::uint32_t n = 2; n <= kMostChips; ++n) {
    const GatherCost cost = ring_cost(equal_shares(n), a_link());
    EXPECT_EQ(cost.steps, n / 2);  // (n - 1) / 2, rounded up
    EXPECT_DOUBLE_EQ(cost.time_us, 130.0 * (n / 2));
    ASSERT_EQ(cost.chips.size(), n);
    for (const Traffic& chip : cost.chips) {
      EXPECT_EQ(chip.messages, n - 1);
      EXPECT_EQ(chip.wire_bytes, 100 * (n - 1));
    }
    EXPECT_EQ(cost.link_payload_bytes, std::vector<std::uint64_t>(n, 84 * (n - 1)));
  }
}

TEST(CostCard, a_star_is_paid_at_its_hub) {
  for (std::uint32_t n = 2; n <= kMostChips; ++n) {
    const GatherCost cost = star_cost(equal_shares(n), a_link());
    EXPECT_EQ(cost.steps, n);
    EXPECT_DOUBLE_EQ(cost.time_us, 130.0 * n);
    EXPECT_EQ(cost.chips.at(0).messages, (n - 1) * (n - 1));
    EXPECT_EQ(cost.chips.at(0).wire_bytes, 100 * (n - 1) * (n - 1));
    EXPECT_EQ(cost.chips.at(n - 1).messages, 1U);
    EXPECT_EQ(cost.link_payload_bytes, std::vector<std::uint64_t>(n - 1, 84 * n));
  }
}

TEST(CostCard, a_broadcast_is_one_transmission_a_chip) {
  for (std::uint32_t n = 2; n <= kMostChips; ++n) {
    const GatherCost cost = broadcast_cost(equal_shares(n), a_link());
    EXPECT_EQ(cost.steps, n);
    EXPECT_DOUBLE_EQ(cost.time_us, 130.0 * n);
    for (const Traffic& chip : cost.chips) EXPECT_EQ(chip.messages, 1U);
    EXPECT_EQ(cost.link_payload_bytes, std::vector<std::uint64_t>(1, 84 * n));
  }
}

TEST(CostCard, the_largest_share_sets_the_time) {
  const std::vector<ShareSize> shares = {{84, 1}, {0, 1}, {968, 2}, {84, 1}};
  const double small = 130;
  const double empty = 30 + 16;
  const double large = 60 + 1000;
  EXPECT_DOUBLE_EQ(ring_cost(shares, a_link()).time_us, 2 * large);
  EXPECT_DOUBLE_EQ(star_cost(shares, a_link()).time_us, large + (small + large + small));
  EXPECT_DOUBLE_EQ(broadcast_cost(shares, a_link()).time_us, small + empty + large + small);
}

/// Traffic and the load of links, share by share along the routes that the chips take.
TEST(CostCard, counts_what_the_routes_of_the_chips_carry) {
  test::Random random(5);
  for (std::uint32_t n = 2; n <= kMostChips; ++n) {
    std::vector<ShareSize> shares;
    for (std::uint32_t i = 0; i < n; ++i) shares.push_back({random.below(500), 1});
    for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
      const GatherCost cost = gather_cost(topology, shares, a_link());
      std::uint64_t carried = 0;
      for (std::uint32_t seat = 0; seat < n; ++seat) {
        const Routes routes(topology, n, seat, 0, ~SeatMask{0});
        std::uint64_t messages = 0;
        for (std::uint32_t port = 0; port < routes.port_count(); ++port) {
          for (std::uint32_t source = 0; source < n; ++source) {
            if (!routes.carries(port, source, 0)) continue;
            ++messages;
            carried += shares[source].payload_bytes;
          }
        }
        EXPECT_EQ(cost.chips[seat].messages, messages) << topology_name(topology) << ", " << n;
      }
      const auto& links = cost.link_payload_bytes;
      EXPECT_EQ(std::accumulate(links.begin(), links.end(), std::uint64_t{0}), carried);
    }
  }
}

}  // namespace
}  // namespace mote::host
