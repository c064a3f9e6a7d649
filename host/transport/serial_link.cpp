// SPDX-License-Identifier: Apache-2.0
#include "transport/serial_link.hpp"

// The kernel's own header: that of the C library has no rate but those of its table.
#include <asm/termbits.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace mote::host {
namespace {

/// A port may miss its rate by so much, in percent, before bits are lost.
constexpr std::uint64_t kRateTolerance = 3;

/// Bytes as they are: no lines, no echo, no characters with a meaning, no flow control.
void make_raw(termios2& settings, std::uint32_t baud) {
  settings.c_iflag = IGNBRK;
  settings.c_oflag = 0;
  settings.c_lflag = 0;
  settings.c_cflag = CS8 | CREAD | CLOCAL | BOTHER;
  settings.c_ispeed = baud;
  settings.c_ospeed = baud;
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
}

bool has_rate(const termios2& settings, std::uint32_t baud) {
  const std::uint64_t wanted = std::uint64_t{baud} * 100;
  const std::uint64_t rate = std::uint64_t{settings.c_ospeed} * 100;
  const std::uint64_t most = std::uint64_t{baud} * kRateTolerance;
  return rate <= wanted + most && wanted <= rate + most;
}

/// The reason why `fd` cannot be used; empty where it can.
std::string prepare(int fd, std::uint32_t baud) {
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return "another program uses the port";
  termios2 settings{};
  if (::ioctl(fd, TCGETS2, &settings) != 0) return "is no serial port";
  make_raw(settings, baud);
  if (::ioctl(fd, TCSETS2, &settings) != 0 || ::ioctl(fd, TCGETS2, &settings) != 0) {
    return fmt::format("cannot be set to {} baud: {}", baud, std::strerror(errno));
  }
  if (!has_rate(settings, baud)) {
    return fmt::format("has {} baud instead of {}", settings.c_ospeed, baud);
  }
  ::ioctl(fd, TCFLSH, TCIOFLUSH);
  return {};
}

}  // namespace

std::unique_ptr<Link> open_serial(const Address& address, std::string& trouble) {
  const int fd = ::open(address.device.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    trouble = std::strerror(errno);
    return nullptr;
  }
  trouble = prepare(fd, address.baud);
  if (!trouble.empty()) {
    ::close(fd);
    return nullptr;
  }
  return std::make_unique<Link>(fd, address.text);
}

}  // namespace mote::host
