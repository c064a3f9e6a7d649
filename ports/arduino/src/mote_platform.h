// SPDX-License-Identifier: Apache-2.0
// What differs between Arduino's cores.
#pragma once

#include <cstdint>

namespace mote::arduino {

std::uint64_t platform_identity();  // 0: unknown
std::uint32_t platform_random();
void platform_sleep();
/// As board::start_apart and board::is_apart_done.
bool platform_start_apart(void (*step)(void*), void* what);
bool platform_is_apart_done();

}  // namespace mote::arduino
