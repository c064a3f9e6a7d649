// SPDX-License-Identifier: Apache-2.0
#include "mote/all_gather.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <queue>
#include <vector>

namespace mote {
namespace {

constexpr SeatMask all_of(std::uint32_t seats) {
  return seats == 64 ? ~SeatMask{0} : seat_bit(seats) - 1;
}

/// What the share of one chip does on its way.
struct Spread {
  std::vector<std::uint32_t> arrivals;  // by seat
  std::vector<std::uint32_t> sent;      // by seat
  std::uint32_t steps = 0;              // links in a row
};

/// The seats that hear what `seat` sends by `port`.
std::vector<std::uint32_t> hearers(const Routes& routes, Topology topology, std::uint32_t seats,
                                   std::uint32_t seat, std::uint32_t port) {
  if (topology != Topology::broadcast) return {routes.neighbour(port)};
  std::vector<std::uint32_t> all;
  for (std::uint32_t to = 0; to < seats; ++to) {
    if (to != seat) all.push_back(to);
  }
  return all;
}

Spread spread(Topology topology, std::uint32_t seats, std::uint32_t hub, SeatMask alive,
              std::uint32_t source, std::uint32_t sequence = 0) {
  Spread result{std::vector<std::uint32_t>(seats), std::vector<std::uint32_t>(seats), 0};
  struct Visit {
    std::uint32_t seat;
    std::uint32_t step;
  };
  std::queue<Visit> visits;
  visits.push({source, 0});
  while (!visits.empty() && result.steps <= seats) {
    const Visit visit = visits.front();
    visits.pop();
    result.steps = visit.step;
    const Routes routes(topology, seats, visit.seat, hub, alive);
    // A chip sends a share once by each port that carries it, however it came.
    if (visit.seat != source && result.arrivals[visit.seat] > 1) continue;
    for (std::uint32_t port = 0; port < routes.port_count(); ++port) {
      if (!routes.carries(port, source, sequence)) continue;
      ++result.sent[visit.seat];
      for (const std::uint32_t to : hearers(routes, topology, seats, visit.seat, port)) {
        ++result.arrivals[to];
        visits.push({to, visit.step + 1});
      }
    }
  }
  return result;
}

TEST(AllGather, each_share_reaches_each_other_chip_once) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    for (std::uint32_t seats = 1; seats <= 64; ++seats) {
      for (std::uint32_t source = 0; source < seats; ++source) {
        const Spread result =
            spread(topology, seats, seats / 3, all_of(seats), source, source + seats);
        for (std::uint32_t seat = 0; seat < seats; ++seat) {
          ASSERT_EQ(result.arrivals[seat], seat == source ? 0U : 1U)
              << "topology " << int(topology) << ", " << seats << " seats, " << source << " to "
              << seat;
        }
      }
    }
  }
}

TEST(AllGather, costs_what_the_cost_card_says) {
  for (std::uint32_t seats = 2; seats <= 17; ++seats) {
    std::vector<std::uint32_t> ring(seats);
    std::vector<std::uint32_t> star(seats);
    std::uint32_t steps = 0;
    for (std::uint32_t source = 0; source < seats; ++source) {
      const Spread around = spread(Topology::ring, seats, 0, all_of(seats), source);
      const Spread through = spread(Topology::star, seats, 0, all_of(seats), source);
      steps = std::max<std::uint32_t>(steps, around.steps);
      for (std::uint32_t seat = 0; seat < seats; ++seat) {
        ring[seat] += around.sent[seat];
        star[seat] += through.sent[seat];
      }
    }
    EXPECT_EQ(steps, seats / 2) << "ceil((N - 1) / 2)";
    for (std::uint32_t seat = 0; seat < seats; ++seat) {
      EXPECT_EQ(ring[seat], seats - 1);
      EXPECT_EQ(star[seat], seat != 0 ? 1 : (seats - 1) * (seats - 2) + (seats - 1));
    }
  }
}

TEST(AllGather, the_longer_way_round_a_ring_changes_every_two_exchanges) {
  const Routes routes(Topology::ring, 4, 0, 0, all_of(4));
  for (std::uint32_t sequence = 0; sequence < 8; ++sequence) {
    const bool is_forward = sequence / 2 % 2 == 0;
    // The share of the seat before has one link behind it, and may have another before it.
    EXPECT_EQ(routes.carries(0, 3, sequence), is_forward);
    EXPECT_EQ(routes.carries(1, 1, sequence), !is_forward);
  }
}

TEST(AllGather, a_ring_without_a_chip_is_a_line) {
  for (std::uint32_t seats = 3; seats <= 12; ++seats) {
    for (std::uint32_t dead = 0; dead < seats; ++dead) {
      const SeatMask alive = all_of(seats) & ~seat_bit(dead);
      for (std::uint32_t source = 0; source < seats; ++source) {
        if (source == dead) continue;
        const Spread result = spread(Topology::ring, seats, 0, alive, source);
        for (std::uint32_t seat = 0; seat < seats; ++seat) {
          const bool hears = seat != source && seat != dead;
          EXPECT_EQ(result.arrivals[seat], hears ? 1U : 0U) << seats << " " << dead;
        }
      }
    }
  }
}

TEST(AllGather, a_ring_without_two_chips_is_two_lines) {
  const SeatMask alive = all_of(8) & ~seat_bit(2) & ~seat_bit(5);
  const Spread result = spread(Topology::ring, 8, 0, alive, 7);
  EXPECT_EQ(result.arrivals, (std::vector<std::uint32_t>{1, 1, 0, 0, 0, 0, 1, 0}));
}

TEST(AllGather, a_star_spares_dead_leaves) {
  const SeatMask alive = all_of(5) & ~seat_bit(3);
  const Spread result = spread(Topology::star, 5, 1, alive, 4);
  EXPECT_EQ(result.arrivals, (std::vector<std::uint32_t>{1, 1, 1, 0, 0}));
}

TEST(AllGather, ports_are_numbered_by_seat) {
  EXPECT_EQ(Routes::port_count(Topology::ring, 1, 0, 0), 0U);
  EXPECT_EQ(Routes::port_count(Topology::ring, 2, 0, 0), 2U);
  EXPECT_EQ(Routes::port_count(Topology::star, 6, 2, 2), 5U);
  EXPECT_EQ(Routes::port_count(Topology::star, 6, 3, 2), 1U);
  EXPECT_EQ(Routes::port_count(Topology::broadcast, 6, 3, 2), 1U);
  const Routes hub(Topology::star, 4, 2, 2, all_of(4));
  EXPECT_EQ(hub.neighbour(0), 0U);
  EXPECT_EQ(hub.neighbour(1), 1U);
  EXPECT_EQ(hub.neighbour(2), 3U);
  const Routes ring(Topology::ring, 4, 0, 0, all_of(4));
  EXPECT_EQ(ring.neighbour(0), 1U);
  EXPECT_EQ(ring.neighbour(1), 3U);
}

TEST(AllGather, what_is_said_to_all_goes_on_by_the_other_ports) {
  const Routes ring(Topology::ring, 4, 0, 0, all_of(4));
  EXPECT_TRUE(ring.floods(0, 1));
  EXPECT_FALSE(ring.floods(1, 1));
  EXPECT_FALSE(Routes(Topology::broadcast, 4, 0, 0, all_of(4)).floods(0, 0));
}

}  // namespace
}  // namespace mote
