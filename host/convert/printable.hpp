// SPDX-License-Identifier: Apache-2.0
// Names out of foreign files, as messages show them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mote::host {

/// `text` with '?' for every byte that is no printable ASCII, cut after 80 bytes: a file from a
/// stranger must not steer the terminal.
inline std::string printable(std::string_view text) {
  constexpr std::size_t kMaxBytes = 80;
  std::string shown(text.substr(0, kMaxBytes));
  for (char& c : shown) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  if (text.size() > kMaxBytes) shown += "...";
  return shown;
}

}  // namespace mote::host
