// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp_link.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <array>
#include <memory>
#include <string>

#include "support/error.hpp"
#include "transport/dialer.hpp"

namespace mote::host {
namespace {

constexpr int kMostMs = 5000;

/// Waits until the link has something to read or to tell.
void wait_for(const Link& link) {
  pollfd polled = {link.fd(), link.poll_events(), 0};
  ::poll(&polled, 1, kMostMs);
}

/// Ends connecting, one way or the other.
void settle(Link& link) {
  while (!link.is_up() && !link.is_down()) {
    wait_for(link);
    link.finish_connecting();
  }
}

std::unique_ptr<Link> accept_from(TcpListener& listener) {
  pollfd door = {listener.fd(), POLLIN, 0};
  ::poll(&door, 1, kMostMs);
  return listener.accept();
}

TEST(TcpLink, connects_and_carries_bytes) {
  TcpListener listener(parse_address("tcp://127.0.0.1:0"));
  EXPECT_TRUE(listener.address().starts_with("tcp://127.0.0.1:"));
  EXPECT_NE(parse_address(listener.address()).port, 0);
  EXPECT_EQ(listener.accept(), nullptr);

  Dialer dialer(parse_address(listener.address()));
  std::string trouble;
  const auto near = dialer.dial(trouble);
  ASSERT_NE(near, nullptr) << trouble;
  settle(*near);
  ASSERT_TRUE(near->is_up()) << near->down_reason();
  EXPECT_EQ(near->name(), listener.address());
  const auto far = accept_from(listener);
  ASSERT_NE(far, nullptr);
  EXPECT_TRUE(far->name().starts_with("tcp://127.0.0.1:"));

  const std::array<std::uint8_t, 3> sent = {1, 0, 255};
  near->write(sent);
  near->flush();
  wait_for(*far);
  std::array<std::uint8_t, 8> got{};
  ASSERT_EQ(far->read(got), 3U);
  EXPECT_EQ(got[2], 255);
}

TEST(TcpLink, small_messages_leave_at_once_and_dead_hosts_are_noticed) {
  TcpListener listener(parse_address("tcp://127.0.0.1:0"));
  Dialer dialer(parse_address(listener.address()));
  std::string trouble;
  const auto near = dialer.dial(trouble);
  ASSERT_NE(near, nullptr);
  settle(*near);
  const auto far = accept_from(listener);
  ASSERT_NE(far, nullptr);
  for (const Link* link : {near.get(), far.get()}) {
    int value = 0;
    socklen_t size = sizeof(value);
    ::getsockopt(link->fd(), IPPROTO_TCP, TCP_NODELAY, &value, &size);
    EXPECT_NE(value, 0);
    value = 0;
    ::getsockopt(link->fd(), SOL_SOCKET, SO_KEEPALIVE, &value, &size);
    EXPECT_NE(value, 0);
  }
}

TEST(TcpLink, nobody_listens) {
  std::string address;
  { address = TcpListener(parse_address("tcp://127.0.0.1:0")).address(); }
  Dialer dialer(parse_address(address));
  std::string trouble;
  const auto link = dialer.dial(trouble);
  if (link != nullptr) {
    settle(*link);
    EXPECT_TRUE(link->is_down());
    trouble = link->down_reason();
  }
  EXPECT_EQ(trouble, "Connection refused");
}

TEST(TcpLink, a_connection_to_itself_is_none) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(fd, generic, size), 0);
  ASSERT_EQ(::getsockname(fd, generic, &size), 0);
  ASSERT_EQ(::connect(fd, generic, size), 0);
  Link link(fd, "itself", Link::State::connecting);
  settle(link);
  EXPECT_TRUE(link.is_down());
  EXPECT_EQ(link.down_reason(), "Connection refused");
}

TEST(TcpLink, the_other_side_leaves) {
  TcpListener listener(parse_address("tcp://127.0.0.1:0"));
  Dialer dialer(parse_address(listener.address()));
  std::string trouble;
  const auto near = dialer.dial(trouble);
  ASSERT_NE(near, nullptr);
  settle(*near);
  { const auto far = accept_from(listener); }
  wait_for(*near);
  std::array<std::uint8_t, 8> got{};
  EXPECT_EQ(near->read(got), 0U);
  EXPECT_TRUE(near->is_down());
  EXPECT_EQ(near->down_reason(), "closed by the other side");
}

TEST(TcpLink, a_name_may_stand_for_several_places) {
  TcpListener listener(parse_address("tcp://127.0.0.1:0"));
  const std::string port = listener.address().substr(listener.address().rfind(':'));
  Dialer dialer(parse_address("tcp://localhost" + port));
  // Where the name means ::1 first, nobody is there, and the next attempt goes to 127.0.0.1.
  for (int attempts = 0; attempts < 3; ++attempts) {
    std::string trouble;
    const auto link = dialer.dial(trouble);
    if (link != nullptr) settle(*link);
    if (link != nullptr && link->is_up()) return;
  }
  FAIL() << "localhost is not reached";
}

TEST(TcpLink, errors_name_the_address) {
  const auto complaint = [](const std::string& address) -> std::string {
    try {
      const TcpListener listener(parse_address(address));
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  const TcpListener listener(parse_address("tcp://127.0.0.1:0"));
  EXPECT_EQ(complaint(listener.address()),
            listener.address() + ": cannot listen: Address already in use");
  EXPECT_TRUE(complaint("tcp://no-such-host.invalid:1").starts_with("tcp://no-such-host.invalid"));
}

}  // namespace
}  // namespace mote::host
