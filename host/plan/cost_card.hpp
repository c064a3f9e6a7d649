// SPDX-License-Identifier: Apache-2.0
// What an all-gather costs: N chips, each with a share that all must have in the end.
//
// With equal shares of S bytes on the wire, each one message, over links of B bytes a second where
// a message costs t:
//
// | topology  | steps         | a chip sends            | a chip receives | time                  |
// |-----------|---------------|-------------------------|-----------------|-----------------------|
// | ring      | ceil((N-1)/2) | N-1 messages, (N-1) S   | N-1, (N-1) S    | ceil((N-1)/2) (t+S/B) |
// | star      | N             | leaf: 1 message, S      | N-1, (N-1) S    | N (t + S/B)           |
// |           |               | hub: (N-1)^2, (N-1)^2 S | N-1, (N-1) S    |                       |
// | broadcast | N             | 1 message, S            | N-1, (N-1) S    | N (t + S/B)           |
//
// A link of the ring carries (N-1) S, both directions together; a leaf's link of the star N S; the
// medium of a broadcast N S. One chip alone gathers nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mote/frame.hpp"
#include "mote/message.hpp"
#include "plan/link.hpp"

namespace mote::host {

/// Header, checksum, two bytes of COBS and the zero that ends a frame.
inline constexpr std::uint64_t kFrameOverheadBytes = kMessageHeaderBytes + kFrameCrcBytes + 2 + 1;

/// What one chip has to tell the others: at least one message, if only to say that it is there.
struct ShareSize {
  std::uint64_t payload_bytes = 0;
  std::uint64_t messages = 1;

  std::uint64_t wire_bytes() const { return payload_bytes + messages * kFrameOverheadBytes; }
  double time_us(const LinkCard& link) const {
    return static_cast<double>(messages) * link.message_us +
           static_cast<double>(wire_bytes()) * 1e6 / link.bytes_per_s;
  }
};

/// What a chip sends, what it passes on included.
struct Traffic {
  std::uint64_t messages = 0;
  std::uint64_t wire_bytes = 0;
};

struct GatherCost {
  std::uint32_t steps = 0;  // one after another
  double time_us = 0;
  std::vector<Traffic> chips;                     // (chips)
  std::vector<std::uint64_t> link_payload_bytes;  // of each link, without frames
};

/// A share travels ceil((N-1)/2) steps one way round and floor((N-1)/2) the other; a link carries
/// both directions at once, and a step takes as long as its largest share. Link i joins chips i and
/// i + 1; with two chips the links are the two directions of one.
GatherCost ring_cost(std::span<const ShareSize> shares, const LinkCard& link);

/// Chip 0 is the hub. All leaves send their shares at once; then the hub sends each leaf the shares
/// of the others, to all leaves at once. Link i joins chip i + 1 to the hub.
GatherCost star_cost(std::span<const ShareSize> shares, const LinkCard& link);

/// All chips hear each other; they send one after another. The one link is the medium.
GatherCost broadcast_cost(std::span<const ShareSize> shares, const LinkCard& link);

GatherCost gather_cost(Topology topology, std::span<const ShareSize> shares, const LinkCard& link);

}  // namespace mote::host
