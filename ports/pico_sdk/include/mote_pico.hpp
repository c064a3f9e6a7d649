// SPDX-License-Identifier: Apache-2.0
// Mote on pico-sdk: what a program calls.
#pragma once

#include "firmware/cluster_node.hpp"
#include "firmware/one_chip.hpp"

namespace mote::pico {

/// Opens the console, and runs `program` (mote::firmware::run_one_chip or run_cluster_node) on core
/// 1, while core 0, which calls this, computes what the program gives it. Never returns.
[[noreturn]] void run(int (*program)());

}  // namespace mote::pico
