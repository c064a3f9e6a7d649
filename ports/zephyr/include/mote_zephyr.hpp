// SPDX-License-Identifier: Apache-2.0
// Mote on Zephyr: what an application calls.
#pragma once

#include "firmware/cluster_node.hpp"
#include "firmware/one_chip.hpp"

namespace mote::zephyr {

/// Opens the console and the links and starts `program` (mote::firmware::run_one_chip or
/// run_cluster_node) as a thread of its own. Once only.
void start(int (*program)());

}  // namespace mote::zephyr
