// SPDX-License-Identifier: Apache-2.0
// Any other core: one context, and no number of the chip that all cores know.
#if !defined(ESP32)

#include "mote_platform.h"

// After the others.
#include "Mote.h"

namespace mote::arduino {

std::uint64_t platform_identity() {
  return 0;
}

// The time until the console was opened by a person or a tool differs from start to start.
std::uint32_t platform_random() {
  return static_cast<std::uint32_t>(micros()) * 2654435761U;
}

void platform_sleep() {
  yield();
}

bool platform_start_apart(void (*)(void*), void*) {
  return false;
}

bool platform_is_apart_done() {
  return true;
}

}  // namespace mote::arduino

#endif
