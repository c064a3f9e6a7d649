// SPDX-License-Identifier: Apache-2.0
// Links over TCP: to a listener, and the listener.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/address.hpp"
#include "transport/link.hpp"

namespace mote::host {

/// One of the places that a host name means.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// At least one. Throws `Error` that names the address where the host is not known.
///   is_passive  to listen at, not to connect to
std::vector<SocketAddress> resolve(const Address& address, bool is_passive);

/// Begins to connect. Null with the reason in `trouble` where the system refuses at once.
std::unique_ptr<Link> begin_connecting(const SocketAddress& to, const std::string& name,
                                       std::string& trouble);

/// Waits for connections.
class TcpListener {
 public:
  /// Throws `Error` that names the address where it cannot listen there.
  explicit TcpListener(const Address& address);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  int fd() const { return fd_; }
  /// With the port that was chosen for port 0.
  const std::string& address() const { return address_; }
  /// The next connection, named by where it comes from; null where none waits.
  std::unique_ptr<Link> accept();

 private:
  int fd_ = -1;
  std::string address_;
};

}  // namespace mote::host
