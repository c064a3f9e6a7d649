// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp_link.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr int kWaiting = 4;  // connections that may wait for their turn

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof(value));
}

/// Small messages leave at once, and a host that has vanished is noticed within some seconds even
/// where nothing is to be sent.
void prepare_stream(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
}

int open_socket(const SocketAddress& address) {
  return ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

const sockaddr* pointer(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

/// "tcp://HOST:PORT" in numbers.
std::string format_address(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(pointer(address), address.size, host.data(), host.size(), port.data(),
                    port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "tcp://?";
  }
  return format_tcp_address(host.data(), static_cast<std::uint16_t>(std::stoi(port.data())));
}

/// A descriptor that listens at `address`; -1 with errno where it cannot.
int listen_at(const SocketAddress& address) {
  const int fd = open_socket(address);
  if (fd < 0) return -1;
  // A node that starts anew takes its port again at once.
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd, pointer(address), address.size) == 0 && ::listen(fd, kWaiting) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

std::vector<SocketAddress> resolve(const Address& address, bool is_passive) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = is_passive ? AI_PASSIVE : 0;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(address.port);
  const int error = ::getaddrinfo(address.host.c_str(), port.c_str(), &hints, &list);
  if (error != 0) throw Error(fmt::format("{}: {}", address.text, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<SocketAddress> found;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress& place = found.emplace_back();
    place.size = std::min<socklen_t>(one->ai_addrlen, sizeof(place.storage));
    std::memcpy(&place.storage, one->ai_addr, place.size);
  }
  if (found.empty()) throw Error(fmt::format("{}: the host has no address", address.text));
  return found;
}

std::unique_ptr<Link> begin_connecting(const SocketAddress& to, const std::string& name,
                                       std::string& trouble) {
  const int fd = open_socket(to);
  if (fd < 0) {
    trouble = std::strerror(errno);
    return nullptr;
  }
  prepare_stream(fd);
  if (::connect(fd, pointer(to), to.size) != 0 && errno != EINPROGRESS) {
    trouble = std::strerror(errno);
    ::close(fd);
    return nullptr;
  }
  return std::make_unique<Link>(fd, name, Link::State::connecting);
}

TcpListener::TcpListener(const Address& address) {
  for (const SocketAddress& place : resolve(address, true)) {
    fd_ = listen_at(place);
    if (fd_ >= 0) break;
  }
  if (fd_ < 0) {
    throw Error(fmt::format("{}: cannot listen: {}", address.text, std::strerror(errno)));
  }
  SocketAddress own;
  own.size = sizeof(own.storage);
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&own.storage), &own.size);
  address_ = format_address(own);
}

TcpListener::~TcpListener() {
  ::close(fd_);
}

std::unique_ptr<Link> TcpListener::accept() {
  SocketAddress from;
  from.size = sizeof(from.storage);
  const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&from.storage), &from.size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return nullptr;
  prepare_stream(fd);
  return std::make_unique<Link>(fd, format_address(from));
}

}  // namespace mote::host
