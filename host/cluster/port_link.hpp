// SPDX-License-Identifier: Apache-2.0
// Carries the frames of a node's port over a link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/node.hpp"
#include "transport/address.hpp"
#include "transport/link.hpp"

namespace mote::host {

/// NodeConfig's retry_us for a node with a link to `address`: a slow line delivers what is under
/// way before anything is asked for again.
std::uint64_t retry_us(const Address& address);

/// Hands what has come by the link to the port.
void receive_frames(TensorParallelNode& node, std::uint32_t port, Link& link, std::uint64_t now_us);

/// Sends what the port has to say, as far as the link takes it.
void send_frames(TensorParallelNode& node, std::uint32_t port, Link& link);

}  // namespace mote::host
