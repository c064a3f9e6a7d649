// SPDX-License-Identifier: Apache-2.0
#include "plan/link.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdlib>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kEspNowFrameBytes = 250;

/// Assumptions, not measurements. spi: a 40 MHz clock on one data line, moved by DMA; setting up a
/// transfer and waking the task that waits for it cost the 50 us. uart: 2 Mbaud, 10 bits a byte, an
/// interrupt a message. esp-now: frames of at most 250 bytes (Espressif, "ESP-NOW") at the default
/// 1 Mbit/s, of which preamble, contention and acknowledgement leave about half; measured round
/// trips are of the order of milliseconds. tcp: a local network of 100 Mbit/s, a system call and a
/// wake-up at each end.
const std::array<LinkCard, 4>& presets() {
  static const std::array<LinkCard, 4> kPresets = {{
      {"spi", "SPI", 5e6, 50, kMaxFrameBytes, false},
      {"uart", "UART", 2e5, 20, kMaxFrameBytes, false},
      {"esp-now", "ESP-NOW", 6e4, 1500, kEspNowFrameBytes, true},
      {"tcp", "TCP", 1e7, 150, kMaxFrameBytes, false},
  }};
  return kPresets;
}

/// The number that `text` is, whole; not a number where it is none.
double parse_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' ? value : std::nan("");
}

}  // namespace

const char* topology_name(Topology topology) {
  switch (topology) {
    case Topology::ring:
      return "ring";
    case Topology::star:
      return "star";
    case Topology::broadcast:
      break;
  }
  return "broadcast";
}

std::span<const LinkCard> link_presets() {
  return presets();
}

LinkCard parse_link(std::string_view text) {
  std::string names;
  for (const LinkCard& preset : presets()) {
    if (preset.name == text) return preset;
    names += (names.empty() ? "" : ", ") + preset.name;
  }
  const std::size_t colon = text.find(':');
  if (colon != text.npos) {
    LinkCard link;
    link.name = link.title = text;
    link.bytes_per_s = parse_number(std::string(text.substr(0, colon)));
    link.message_us = parse_number(std::string(text.substr(colon + 1)));
    const bool is_valid = link.bytes_per_s > 0 && std::isfinite(link.bytes_per_s) &&
                          link.message_us >= 0 && std::isfinite(link.message_us);
    if (is_valid) return link;
  }
  throw Error(fmt::format("--link {}: must be {} or BYTES_PER_S:US_PER_MESSAGE such as 5000000:50",
                          text, names));
}

}  // namespace mote::host
