// SPDX-License-Identifier: Apache-2.0
#include "rp2040/terminal.hpp"

#include <cstdint>
#include <string_view>

namespace mote::port {
namespace {

struct Ring {
  const char* name;
  char* bytes;
  std::uint32_t size;
  volatile std::uint32_t written;
  volatile std::uint32_t read;
  std::uint32_t flags;
};

/// The block that the other side searches the memory for.
struct ControlBlock {
  char id[16];
  std::int32_t up_count;
  std::int32_t down_count;
  Ring up;
  Ring down;
};

char output[1024];
char input[1280];  // more than the longest line

constinit ControlBlock terminal = {"SEGGER RTT",
                                   1,
                                   1,
                                   {"Terminal", output, sizeof output, 0, 0, 0},
                                   {"Terminal", input, sizeof input, 0, 0, 0}};

constexpr std::uint32_t after(const Ring& ring, std::uint32_t index) {
  return index + 1 == ring.size ? 0 : index + 1;
}

}  // namespace

int read_terminal() {
  Ring& ring = terminal.down;
  const std::uint32_t at = ring.read;
  if (at == ring.written) return -1;
  asm volatile("dmb" ::: "memory");
  const auto byte = static_cast<std::uint8_t>(ring.bytes[at]);
  ring.read = after(ring, at);
  return byte;
}

std::string_view write_terminal(std::string_view text) {
  Ring& ring = terminal.up;
  while (!text.empty() && after(ring, ring.written) != ring.read) {
    ring.bytes[ring.written] = text.front();
    asm volatile("dmb" ::: "memory");
    ring.written = after(ring, ring.written);
    text.remove_prefix(1);
  }
  return text;
}

}  // namespace mote::port
