// SPDX-License-Identifier: Apache-2.0
// How fast threads read memory and do nothing else: the ceiling of decoding.
#pragma once

#include <cstdint>
#include <span>

#include "run/thread_team.hpp"

namespace mote::host {

/// The exclusive or of all 64-bit words in the whole 64-byte lines of `bytes`: who knows it has
/// read each of them.
std::uint64_t fold_lines(std::span<const std::uint8_t> bytes);

/// Bytes per second at which the threads of `team` read `bytes` once, each an equal part that lies
/// together.
double measure_reading(ThreadTeam& team, std::span<const std::uint8_t> bytes);

}  // namespace mote::host
