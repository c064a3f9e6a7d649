// SPDX-License-Identifier: Apache-2.0
#include "transport/address.hpp"

#include <charconv>

#include <fmt/format.h>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kSerial = "serial://";
constexpr std::string_view kBaud = "?baud=";

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(
      fmt::format("{}: {}; an address is tcp://HOST:PORT or serial://DEVICE?baud=RATE, such as "
                  "tcp://127.0.0.1:4000 or serial:///dev/ttyUSB0?baud=2000000",
                  text, why));
}

/// A whole number from `low` to `high` and nothing else; `what` names it in the error.
std::uint32_t parse_number(std::string_view digits, std::uint32_t low, std::uint32_t high,
                           std::string_view text, std::string_view what) {
  std::uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [last, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc() || last != end || digits.empty() || value < low || value > high) {
    refuse(text, fmt::format("{} is a number from {} to {}", what, low, high));
  }
  return value;
}

void parse_tcp(Address& address, std::string_view rest) {
  const std::size_t colon = rest.rfind(':');
  if (colon == rest.npos) refuse(address.text, "the port is missing");
  std::string_view host = rest.substr(0, colon);
  const bool has_brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (has_brackets) host = host.substr(1, host.size() - 2);
  if (host.empty()) refuse(address.text, "the host is missing");
  if (!has_brackets && host.find(':') != host.npos) {
    refuse(address.text, "an IPv6 number stands in brackets");
  }
  address.host = host;
  address.port = static_cast<std::uint16_t>(
      parse_number(rest.substr(colon + 1), 0, 65535, address.text, "the port"));
}

void parse_serial(Address& address, std::string_view rest) {
  address.kind = Address::Kind::serial;
  const std::size_t question = rest.find('?');
  address.device = rest.substr(0, question);
  if (address.device.empty()) refuse(address.text, "the device is missing");
  if (question == rest.npos) return;
  const std::string_view option = rest.substr(question);
  if (!option.starts_with(kBaud)) refuse(address.text, "the only option is baud");
  address.baud = parse_number(option.substr(kBaud.size()), 50, kMaxBaud, address.text, "the rate");
}

}  // namespace

Address parse_address(std::string_view text) {
  Address address;
  address.text = text;
  if (text.starts_with(kTcp)) {
    parse_tcp(address, text.substr(kTcp.size()));
  } else if (text.starts_with(kSerial)) {
    parse_serial(address, text.substr(kSerial.size()));
  } else {
    refuse(text, "no kind of link begins like this");
  }
  return address;
}

std::string format_tcp_address(std::string_view host, std::uint16_t port) {
  const bool has_colons = host.find(':') != host.npos;
  return fmt::format("{}{}{}{}:{}", kTcp, has_colons ? "[" : "", host, has_colons ? "]" : "", port);
}

}  // namespace mote::host
