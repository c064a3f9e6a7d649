// SPDX-License-Identifier: Apache-2.0
#include "transport/serial_link.hpp"

// The kernel's header, as in the source: the C library's cannot tell every rate.
#include <asm/termbits.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

/// A pseudo-terminal: a link opens its device, the test holds the other side.
struct Terminal {
  Terminal() {
    master = ::posix_openpt(O_RDWR | O_NOCTTY);
    EXPECT_EQ(::grantpt(master), 0);
    EXPECT_EQ(::unlockpt(master), 0);
    std::array<char, 256> name{};
    EXPECT_EQ(::ptsname_r(master, name.data(), name.size()), 0);
    device = name.data();
    end = ::open(device.c_str(), O_RDWR | O_NOCTTY);
  }
  ~Terminal() {
    ::close(master);
    if (end >= 0) ::close(end);
  }
  std::unique_ptr<Link> open(std::uint32_t baud, std::string& trouble) const {
    return open_serial(parse_address("serial://" + device + "?baud=" + std::to_string(baud)),
                       trouble);
  }
  int master = -1;
  int end = -1;
  std::string device;
};

void wait_for(int fd) {
  pollfd polled = {fd, POLLIN, 0};
  ::poll(&polled, 1, 5000);
}

TEST(SerialLink, carries_every_byte_as_it_is_both_ways) {
  const Terminal terminal;
  std::string trouble;
  const auto link = terminal.open(2'000'000, trouble);
  ASSERT_NE(link, nullptr) << trouble;
  std::vector<std::uint8_t> all(256);
  std::iota(all.begin(), all.end(), std::uint8_t{0});

  link->write(all);
  link->flush();
  EXPECT_FALSE(link->has_unsent());
  std::vector<std::uint8_t> got;
  std::array<std::uint8_t, 512> part{};
  while (got.size() < all.size()) {
    wait_for(terminal.master);
    const ssize_t count = ::read(terminal.master, part.data(), part.size());
    ASSERT_GT(count, 0);
    got.insert(got.end(), part.begin(), part.begin() + count);
  }
  EXPECT_EQ(got, all);

  ASSERT_EQ(::write(terminal.master, all.data(), all.size()), 256);
  got.clear();
  while (got.size() < all.size()) {
    wait_for(link->fd());
    const std::size_t count = link->read(part);
    ASSERT_GT(count, 0U) << link->down_reason();
    got.insert(got.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count));
  }
  EXPECT_EQ(got, all);
}

TEST(SerialLink, sets_any_rate) {
  const Terminal terminal;
  for (const std::uint32_t baud : {9600U, 74880U, 250'000U, 2'000'000U, 3'333'333U}) {
    std::string trouble;
    const auto link = terminal.open(baud, trouble);
    ASSERT_NE(link, nullptr) << trouble;
    termios2 settings{};
    ASSERT_EQ(::ioctl(link->fd(), TCGETS2, &settings), 0);
    EXPECT_EQ(settings.c_ospeed, baud);
    EXPECT_EQ(settings.c_lflag, 0U);
    EXPECT_EQ(settings.c_cflag & (CRTSCTS | PARENB | CSTOPB), 0U);
  }
}

TEST(SerialLink, is_down_when_the_line_is_gone) {
  Terminal terminal;
  std::string trouble;
  const auto link = terminal.open(115200, trouble);
  ASSERT_NE(link, nullptr) << trouble;
  ::close(terminal.end);
  terminal.end = -1;
  ::close(terminal.master);
  wait_for(link->fd());
  std::array<std::uint8_t, 8> part{};
  EXPECT_EQ(link->read(part), 0U);
  EXPECT_TRUE(link->is_down());
  EXPECT_NE(link->down_reason(), "");
  terminal.master = -1;
}

TEST(SerialLink, says_why_a_port_cannot_be_used) {
  const Terminal terminal;
  std::string trouble;
  const auto first = terminal.open(115200, trouble);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(terminal.open(115200, trouble), nullptr);
  EXPECT_EQ(trouble, "another program uses the port");
  EXPECT_EQ(open_serial(parse_address("serial:///nowhere"), trouble), nullptr);
  EXPECT_EQ(trouble, "No such file or directory");
  const TemporaryFile file("mote-test");
  EXPECT_EQ(open_serial(parse_address("serial://" + file.path()), trouble), nullptr);
  EXPECT_EQ(trouble, "is no serial port");
}

}  // namespace
}  // namespace mote::host
