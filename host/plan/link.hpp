// SPDX-License-Identifier: Apache-2.0
// Links between chips, as numbers: what a byte and a message cost.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mote/all_gather.hpp"
#include "mote/frame.hpp"

namespace mote::host {

const char* topology_name(Topology topology);

struct LinkCard {
  std::string name;   // as --link has it
  std::string title;  // as a sentence has it
  double bytes_per_s = 0;
  double message_us = 0;  // of each message, whatever its length
  std::uint32_t max_frame_bytes = kMaxFrameBytes;
  /// All chips hear each other and only one may send: the only topology is broadcast.
  bool is_shared_medium = false;
};

std::span<const LinkCard> link_presets();

/// A preset by its name, or BYTES_PER_S:US_PER_MESSAGE. Throws `Error`.
LinkCard parse_link(std::string_view text);

}  // namespace mote::host
