// SPDX-License-Identifier: Apache-2.0
// Where a chip is reached: tcp://HOST:PORT or serial://DEVICE?baud=RATE.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mote::host {

inline constexpr std::uint32_t kDefaultBaud = 115200;
inline constexpr std::uint32_t kMaxBaud = 100'000'000;

struct Address {
  enum class Kind : std::uint8_t { tcp, serial };

  Kind kind = Kind::tcp;
  std::string text;        // as it was given
  std::string host;        // tcp: a name or a number, IPv6 without its brackets
  std::uint16_t port = 0;  // tcp; 0: any that is free, for a listener
  std::string device;      // serial: a path
  std::uint32_t baud = kDefaultBaud;

  bool is_serial() const { return kind == Kind::serial; }
};

/// Throws `Error` that says what an address looks like. An IPv6 number stands in brackets.
Address parse_address(std::string_view text);

/// "tcp://HOST:PORT", with brackets where the host has colons.
std::string format_tcp_address(std::string_view host, std::uint16_t port);

}  // namespace mote::host
