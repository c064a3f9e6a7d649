// SPDX-License-Identifier: Apache-2.0
// A person at the console of a virtual board.
#pragma once

#include <cstddef>

#include "board/virtual_cluster.hpp"

namespace mote::host {

/// Joins standard input and output with the console of `chip` until the input ends and the board
/// waits for a command. At a terminal every key goes to the board; Ctrl-D ends it.
void attach_terminal(VirtualCluster& cluster, std::size_t chip);

}  // namespace mote::host
