// SPDX-License-Identifier: Apache-2.0
#include "transport/link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mote::host {
namespace {

/// Some frames: few, so that little stands in line before what is new.
constexpr std::size_t kBufferBytes = 8192;

bool is_socket(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/// Whether a TCP connection leads to itself, as one may to a port of this computer that nobody
/// listens at: its own end was given that very port.
bool leads_to_itself(int fd) {
  sockaddr_storage own{};
  sockaddr_storage other{};
  socklen_t own_size = sizeof(own);
  socklen_t other_size = sizeof(other);
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         ::getpeername(fd, reinterpret_cast<sockaddr*>(&other), &other_size) == 0 &&
         own.ss_family != AF_UNIX && own_size == other_size &&
         std::memcmp(&own, &other, own_size) == 0;
}

bool is_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

Link::Link(int fd, std::string name, State state)
    : fd_(fd),
      name_(std::move(name)),
      state_(state),
      is_socket_(is_socket(fd)),
      buffer_(kBufferBytes) {
  const int flags = ::fcntl(fd_, F_GETFL);
  ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK);
}

Link::~Link() {
  ::close(fd_);
}

void Link::go_down(int error) {
  state_ = State::down;
  down_reason_ = error == 0 ? "closed by the other side" : std::strerror(error);
  size_ = 0;
}

short Link::poll_events() const {
  if (state_ == State::connecting) return POLLOUT;
  return has_unsent() ? POLLIN | POLLOUT : POLLIN;
}

void Link::finish_connecting() {
  if (state_ != State::connecting) return;
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0 && leads_to_itself(fd_)) error = ECONNREFUSED;
  if (error != 0) return go_down(error);
  state_ = State::up;
}

std::size_t Link::read(std::span<std::uint8_t> out) {
  if (!is_up() || out.empty()) return 0;
  const ssize_t count = ::read(fd_, out.data(), out.size());
  if (count > 0) {
    received_bytes_ += static_cast<std::uint64_t>(count);
    return static_cast<std::size_t>(count);
  }
  if (count == 0 || !is_later(errno)) go_down(count == 0 ? 0 : errno);
  return 0;
}

void Link::write(std::span<const std::uint8_t> bytes) {
  std::ranges::copy(bytes, space().begin());
  commit(bytes.size());
}

void Link::flush() {
  std::size_t sent = 0;
  while (is_up() && sent < size_) {
    const std::uint8_t* from = &buffer_[sent];
    // A peer that has gone is an error of this link, not a signal.
    const ssize_t count = is_socket_ ? ::send(fd_, from, size_ - sent, MSG_NOSIGNAL)
                                     : ::write(fd_, from, size_ - sent);
    if (count < 0 && is_later(errno)) break;
    if (count < 0) return go_down(errno);
    sent += static_cast<std::size_t>(count);
  }
  sent_bytes_ += sent;
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(sent),
            buffer_.begin() + static_cast<std::ptrdiff_t>(size_), buffer_.begin());
  size_ -= std::min(sent, size_);
}

}  // namespace mote::host
