// SPDX-License-Identifier: Apache-2.0
// Opens the link to an address, as often as it is lost.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "transport/address.hpp"
#include "transport/link.hpp"
#include "transport/tcp_link.hpp"

namespace mote::host {

class Dialer {
 public:
  /// Throws `Error` where a host name is not known.
  explicit Dialer(const Address& address);

  const Address& address() const { return address_; }
  /// Begins to open a link, without waiting. Null with the reason in `trouble` where it fails at
  /// once. A host of several places is tried at the next of them each time.
  std::unique_ptr<Link> dial(std::string& trouble);

 private:
  Address address_;
  std::vector<SocketAddress> places_;  // of a host
  std::size_t next_ = 0;
};

}  // namespace mote::host
