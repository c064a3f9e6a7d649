// SPDX-License-Identifier: Apache-2.0
// Who passes whose blocks on: an all-gather over point-to-point links or one shared medium.
#pragma once

#include <cstdint>

#include "mote/slice.hpp"

namespace mote {

/// How chips are wired. A chip's place in the wiring is its seat, 0 to seats - 1. Costs of one
/// all-gather of N equal shares of B bytes:
///
///   |           | links a chip   | steps        | messages a chip sends | bytes a chip sends   |
///   | ring      | 2              | ceil((N-1)/2)| N - 1                 | (N - 1) B            |
///   | star, leaf| 1              | N            | 1                     | B                    |
///   | star, hub | N - 1          |              | (N - 1)^2             | (N - 1)^2 B          |
///   | broadcast | 1, of all      | N            | 1                     | B                    |
///
/// ring: a share travels both ways at once, half of the chips each; what passes one link in both
/// directions together is (N - 1) B. With an even N one half is longer by a link; which one changes
/// every two exchanges, so that what passes each link evens out. star: the hub's links work side by
/// side; a leaf's share is passed on as it arrives. broadcast: one chip speaks at a time, all hear.
enum class Topology : std::uint8_t { ring = 0, star = 1, broadcast = 2 };

/// Seats as bits.
using SeatMask = std::uint64_t;
constexpr SeatMask seat_bit(std::uint32_t seat) {
  return SeatMask{1} << seat;
}

/// The routes of one chip. Ports: ring 0 to the next seat and 1 to the one before; star: the hub
/// has one a leaf, in order of seat, a leaf has port 0; broadcast has port 0.
class Routes {
 public:
  Routes() = default;
  /// `alive` are the seats that take part: a ring without all of them is a line.
  ///   seats  1 to kMaxChips; seat and hub < seats
  Routes(Topology topology, std::uint32_t seats, std::uint32_t seat, std::uint32_t hub,
         SeatMask alive)
      : topology_(topology), seats_(seats), seat_(seat), hub_(hub), alive_(alive) {}

  static constexpr std::uint32_t port_count(Topology topology, std::uint32_t seats,
                                            std::uint32_t seat, std::uint32_t hub) {
    if (seats < 2) return 0;
    if (topology == Topology::ring) return 2;
    return topology == Topology::star && seat == hub ? seats - 1 : 1;
  }
  std::uint32_t port_count() const { return port_count(topology_, seats_, seat_, hub_); }
  /// The seat at the other end of a port; on a shared medium, the own.
  std::uint32_t neighbour(std::uint32_t port) const;

  /// Whether this chip sends blocks of `source` out of `port` in the exchange of that number: each
  /// goes to each chip by one way.
  bool carries(std::uint32_t port, std::uint32_t source, std::uint32_t sequence) const;
  /// Whether a message to all that came in by `arrival` goes on by `port`; it is counted, so that
  /// none runs for ever.
  bool floods(std::uint32_t port, std::uint32_t arrival) const;

 private:
  bool is_alive(std::uint32_t seat) const { return (alive_ & seat_bit(seat)) != 0; }
  bool is_whole_ring() const;
  bool is_reached(std::uint32_t source, std::uint32_t step) const;

  Topology topology_ = Topology::ring;
  std::uint32_t seats_ = 1;
  std::uint32_t seat_ = 0;
  std::uint32_t hub_ = 0;
  SeatMask alive_ = 1;
};

}  // namespace mote
