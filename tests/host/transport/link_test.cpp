// SPDX-License-Identifier: Apache-2.0
#include "transport/link.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

namespace mote::host {
namespace {

/// A link over a socket, and the other end in the test's hand.
struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
    const int small = 4096;
    ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    link = std::make_unique<Link>(fds[0], "the link");
    far = fds[1];
  }
  ~Pair() {
    if (far >= 0) ::close(far);
  }
  void close_far() {
    ::close(far);
    far = -1;
  }
  std::unique_ptr<Link> link;
  int far = -1;
};

std::vector<std::uint8_t> numbers(std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST(Link, carries_bytes_both_ways) {
  Pair pair;
  EXPECT_TRUE(pair.link->is_up());
  EXPECT_EQ(pair.link->name(), "the link");
  const auto sent = numbers(100);
  pair.link->write(sent);
  EXPECT_TRUE(pair.link->has_unsent());
  EXPECT_EQ(pair.link->poll_events(), POLLIN | POLLOUT);
  pair.link->flush();
  EXPECT_FALSE(pair.link->has_unsent());
  EXPECT_EQ(pair.link->poll_events(), POLLIN);
  std::vector<std::uint8_t> got(200);
  EXPECT_EQ(::read(pair.far, got.data(), got.size()), 100);
  got.resize(100);
  EXPECT_EQ(got, sent);
  EXPECT_EQ(pair.link->sent_bytes(), 100U);

  EXPECT_EQ(::write(pair.far, sent.data(), 7), 7);
  std::array<std::uint8_t, 4> part{};
  EXPECT_EQ(pair.link->read(part), 4U);
  EXPECT_EQ(part[3], 3);
  EXPECT_EQ(pair.link->read(part), 3U);
  EXPECT_EQ(pair.link->received_bytes(), 7U);
}

TEST(Link, does_not_wait) {
  Pair pair;
  std::array<std::uint8_t, 4> part{};
  EXPECT_EQ(pair.link->read(part), 0U);
  EXPECT_TRUE(pair.link->is_up());
}

TEST(Link, keeps_what_the_system_does_not_take) {
  Pair pair;
  std::vector<std::uint8_t> sent;
  const auto some = numbers(251);
  while (pair.link->can_write(some.size())) {
    pair.link->write(some);
    sent.insert(sent.end(), some.begin(), some.end());
    pair.link->flush();
  }
  EXPECT_TRUE(pair.link->has_unsent());
  EXPECT_LT(pair.link->sent_bytes(), sent.size());
  std::vector<std::uint8_t> got;
  std::array<std::uint8_t, 777> part{};
  while (got.size() < sent.size()) {
    const ssize_t count = ::read(pair.far, part.data(), part.size());
    ASSERT_GT(count, 0);
    got.insert(got.end(), part.begin(), part.begin() + count);
    pair.link->flush();
  }
  EXPECT_EQ(got, sent);
  EXPECT_FALSE(pair.link->has_unsent());
  EXPECT_EQ(pair.link->sent_bytes(), sent.size());
}

TEST(Link, what_is_put_to_its_space_leaves) {
  Pair pair;
  const auto space = pair.link->space();
  ASSERT_GE(space.size(), 2U);
  space[0] = 7;
  space[1] = 8;
  pair.link->commit(1);
  pair.link->flush();
  std::array<std::uint8_t, 4> got{};
  EXPECT_EQ(::read(pair.far, got.data(), got.size()), 1);
  EXPECT_EQ(got[0], 7);
}

TEST(Link, is_down_when_the_other_end_has_closed) {
  Pair pair;
  EXPECT_EQ(::write(pair.far, "ab", 2), 2);
  pair.close_far();
  std::array<std::uint8_t, 4> part{};
  // What was sent before still arrives.
  EXPECT_EQ(pair.link->read(part), 2U);
  EXPECT_TRUE(pair.link->is_up());
  EXPECT_EQ(pair.link->read(part), 0U);
  EXPECT_TRUE(pair.link->is_down());
  EXPECT_EQ(pair.link->down_reason(), "closed by the other side");
}

TEST(Link, writing_to_an_end_that_has_gone_is_an_error_and_no_signal) {
  Pair pair;
  pair.close_far();
  pair.link->write(numbers(10));
  pair.link->flush();
  EXPECT_TRUE(pair.link->is_down());
  EXPECT_EQ(pair.link->down_reason(), "Broken pipe");
  EXPECT_FALSE(pair.link->has_unsent());
  std::array<std::uint8_t, 4> part{};
  EXPECT_EQ(pair.link->read(part), 0U);
  pair.link->write(numbers(10));
  pair.link->flush();
  EXPECT_EQ(pair.link->sent_bytes(), 0U);
}

}  // namespace
}  // namespace mote::host
