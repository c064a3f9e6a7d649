// SPDX-License-Identifier: Apache-2.0
// Links over serial ports: eight bits, no parity, no flow control, any rate.
#pragma once

#include <memory>
#include <string>

#include "transport/address.hpp"
#include "transport/link.hpp"

namespace mote::host {

/// Opens the device for this program alone and sets its rate; what came before is forgotten. Null
/// with the reason in `trouble` where it cannot. A pseudo-terminal takes any rate and has none.
std::unique_ptr<Link> open_serial(const Address& address, std::string& trouble);

}  // namespace mote::host
