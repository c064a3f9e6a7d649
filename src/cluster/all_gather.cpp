// SPDX-License-Identifier: Apache-2.0
#include "mote/all_gather.hpp"

namespace mote {
namespace {

constexpr SeatMask all_seats(std::uint32_t seats) {
  return seats == kMaxChips ? ~SeatMask{0} : seat_bit(seats) - 1;
}

}  // namespace

std::uint32_t Routes::neighbour(std::uint32_t port) const {
  switch (topology_) {
    case Topology::ring:
      return (seat_ + (port == 0 ? 1 : seats_ - 1)) % seats_;
    case Topology::star:
      if (seat_ != hub_) return hub_;
      return port < hub_ ? port : port + 1;
    case Topology::broadcast:
      break;
  }
  return seat_;
}

bool Routes::is_whole_ring() const {
  return (alive_ & all_seats(seats_)) == all_seats(seats_);
}

/// On a line: whether going from here by `step` (modulo the seats) leads to `source` past chips
/// that are all alive.
bool Routes::is_reached(std::uint32_t source, std::uint32_t step) const {
  for (std::uint32_t at = seat_; at != source;) {
    at = (at + step) % seats_;
    if (!is_alive(at) || at == seat_) return false;
  }
  return true;
}

bool Routes::carries(std::uint32_t port, std::uint32_t source, std::uint32_t sequence) const {
  if (topology_ == Topology::broadcast) return source == seat_;
  const std::uint32_t to = neighbour(port);
  if (!is_alive(to) || to == source) return false;
  if (topology_ == Topology::star) return seat_ == hub_ || source == seat_;
  // Links that the share has passed already on its way here, against the direction of the port.
  const std::uint32_t back = port == 0 ? seats_ - 1 : 1;
  if (!is_whole_ring()) return is_reached(source, back);
  const std::uint32_t passed =
      (port == 0 ? seat_ + seats_ - source : source + seats_ - seat_) % seats_;
  const std::uint32_t links = seats_ - 1;
  const bool is_longer = (port == 0) == ((sequence >> 1 & 1) == 0);
  return passed < (is_longer ? links - links / 2 : links / 2);
}

bool Routes::floods(std::uint32_t port, std::uint32_t arrival) const {
  return topology_ != Topology::broadcast && port != arrival;
}

}  // namespace mote
