// SPDX-License-Identifier: Apache-2.0
#include "support/byte_pump.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <span>
#include <stdexcept>
#include <vector>

#include "mote/sampler.hpp"

namespace mote::test {
namespace {

constexpr int kLookMs = 20;  // how soon an end is noticed

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// One direction of a line: a few bytes are on their way at a time.
class Direction {
 public:
  Direction(int from, int to, double bytes_per_s) : from_(from), to_(to), rate_(bytes_per_s) {}

  int from() const { return from_; }
  bool is_empty() const { return size_ == 0; }
  double due_s() const { return due_s_; }

  void deliver(double now) {
    if (size_ == 0 || now < due_s_) return;
    const ssize_t written = ::write(to_, bytes_.data(), size_);
    if (written >= 0) size_ = 0;
  }

  void take(double now) {
    if (size_ != 0) return;
    const ssize_t count = ::read(from_, bytes_.data(), bytes_.size());
    if (count <= 0) return;
    size_ = static_cast<std::size_t>(count);
    // Bytes that stood in line follow without a gap, however late this thread is woken.
    const double begin = was_waiting_ ? due_s_ : now;
    due_s_ = std::max(begin, now - kCatchUpS) + static_cast<double>(size_) / rate_;
    was_waiting_ = size_ == bytes_.size();
  }

 private:
  static constexpr double kCatchUpS = 0.02;

  int from_;
  int to_;
  double rate_;
  std::array<std::uint8_t, 32> bytes_{};
  std::size_t size_ = 0;
  double due_s_ = 0;
  bool was_waiting_ = false;
};

timespec to_timespec(double seconds) {
  const double whole = std::floor(std::max(seconds, 0.0));
  return {static_cast<time_t>(whole), static_cast<long>((std::max(seconds, 0.0) - whole) * 1e9)};
}

bool write_all(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

PtyWire::PtyWire(double bytes_per_s) {
  for (std::size_t end = 0; end < 2; ++end) {
    std::array<char, 256> name{};
    if (::openpty(&masters_[end], &ends_[end], name.data(), nullptr, nullptr) != 0) {
      throw std::runtime_error("no pseudo-terminal");
    }
    termios settings{};
    ::tcgetattr(ends_[end], &settings);
    ::cfmakeraw(&settings);
    ::tcsetattr(ends_[end], TCSANOW, &settings);
    for (const int fd : {masters_[end], ends_[end]}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(masters_[end], F_SETFL, O_NONBLOCK);
    devices_[end] = name.data();
  }
  thread_ = std::thread([this, bytes_per_s] { run(bytes_per_s); });
}

PtyWire::~PtyWire() {
  must_stop_ = true;
  thread_.join();
  for (const int fd : masters_) ::close(fd);
  for (const int fd : ends_) ::close(fd);
}

std::string PtyWire::address(std::size_t end) const {
  return "serial://" + devices_[end] + "?baud=2000000";
}

void PtyWire::make_noise(std::uint64_t seed) {
  Pcg32 random(seed);
  std::vector<std::uint8_t> noise(200);
  for (const int master : masters_) {
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random.next());
    if (::write(master, noise.data(), noise.size()) < 0) return;
  }
}

void PtyWire::run(double bytes_per_s) {
  std::array<Direction, 2> ways = {Direction(masters_[0], masters_[1], bytes_per_s),
                                   Direction(masters_[1], masters_[0], bytes_per_s)};
  while (!must_stop_) {
    std::array<pollfd, 2> polled{};
    double wait_s = kLookMs / 1000.0;
    for (std::size_t i = 0; i < 2; ++i) {
      polled[i] = {ways[i].is_empty() ? ways[i].from() : -1, POLLIN, 0};
      if (!ways[i].is_empty()) wait_s = std::min(wait_s, ways[i].due_s() - now_s());
    }
    const timespec wait = to_timespec(wait_s);
    ::ppoll(polled.data(), polled.size(), &wait, nullptr);
    for (Direction& way : ways) {
      way.deliver(now_s());
      way.take(now_s());
    }
  }
}

TcpTap::TcpTap(std::uint16_t node_port) : node_port_(node_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 4) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpTap::~TcpTap() {
  must_stop_ = true;
  thread_.join();
  ::close(listener_);
}

std::string TcpTap::address() const {
  return "tcp://127.0.0.1:" + std::to_string(port_);
}

void TcpTap::run() {
  while (!must_stop_) {
    pollfd door = {listener_, POLLIN, 0};
    if (::poll(&door, 1, kLookMs) <= 0) continue;
    const int driver = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (driver < 0) continue;
    serve(driver);
    ::close(driver);
  }
}

void TcpTap::serve(int driver) {
  const int node = node_port_ == 0 ? -1 : ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(node_port_);
  const int one = 1;
  ::setsockopt(driver, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (node >= 0) ::setsockopt(node, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  bool is_open = node < 0 ||
                 ::connect(node, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  while (is_open && !must_stop_) {
    std::array<pollfd, 2> polled = {{{driver, POLLIN, 0}, {node, POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), kLookMs);
    if (polled[0].revents != 0) is_open = pass(driver, node, false);
    if (is_open && polled[1].revents != 0) is_open = pass(node, driver, true);
  }
  if (node >= 0) ::close(node);
}

/// Passes on what there is; false where an end has gone.
bool TcpTap::pass(int from, int to, bool is_to_driver) {
  std::array<std::uint8_t, 4096> memory{};
  const ssize_t count = ::read(from, memory.data(), memory.size());
  if (count <= 0) return false;
  const auto bytes = std::span(memory).first(static_cast<std::size_t>(count));
  const Mode mode = mode_;
  if (mode == Mode::silence) return true;
  // A node that is not there answers whatever it gets.
  const bool is_damaged = mode == Mode::garbage && (is_to_driver || to < 0);
  Pcg32 random(static_cast<std::uint64_t>(count));
  if (is_damaged) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  }
  if (to < 0) return !is_damaged || write_all(from, bytes);
  return write_all(to, bytes);
}

}  // namespace mote::test
