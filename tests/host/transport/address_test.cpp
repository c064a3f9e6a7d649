// SPDX-License-Identifier: Apache-2.0
#include "transport/address.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/error.hpp"

namespace mote::host {
namespace {

std::string complaint(const std::string& text) {
  try {
    parse_address(text);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Address, tcp) {
  const Address address = parse_address("tcp://node.lan:4000");
  EXPECT_FALSE(address.is_serial());
  EXPECT_EQ(address.text, "tcp://node.lan:4000");
  EXPECT_EQ(address.host, "node.lan");
  EXPECT_EQ(address.port, 4000);
  EXPECT_EQ(parse_address("tcp://127.0.0.1:0").port, 0);
  EXPECT_EQ(parse_address("tcp://h:65535").port, 65535);
}

TEST(Address, tcp_with_an_ipv6_number) {
  const Address address = parse_address("tcp://[fe80::1]:80");
  EXPECT_EQ(address.host, "fe80::1");
  EXPECT_EQ(address.port, 80);
  EXPECT_EQ(format_tcp_address("fe80::1", 80), "tcp://[fe80::1]:80");
  EXPECT_EQ(format_tcp_address("10.0.0.1", 80), "tcp://10.0.0.1:80");
}

TEST(Address, serial) {
  const Address address = parse_address("serial:///dev/ttyUSB0?baud=2000000");
  EXPECT_TRUE(address.is_serial());
  EXPECT_EQ(address.device, "/dev/ttyUSB0");
  EXPECT_EQ(address.baud, 2'000'000U);
  EXPECT_EQ(parse_address("serial:///dev/ttyS1").baud, kDefaultBaud);
  EXPECT_EQ(parse_address("serial://COM3?baud=74880").device, "COM3");
}

TEST(Address, whatever_is_no_address_is_told_what_one_looks_like) {
  for (const char* text : {"",
                           "tcp",
                           "tcp:",
                           "tcp://",
                           "tcp://:1",
                           "tcp://host",
                           "tcp://host:",
                           "tcp://host:65536",
                           "tcp://host:-1",
                           "tcp://host:4x",
                           "tcp://host: 4",
                           "tcp://host:0x10",
                           "tcp://fe80::1:80",
                           "tcp://[]:1",
                           "udp://host:1",
                           "host:1",
                           "serial://",
                           "serial://?baud=9600",
                           "serial:///dev/x?",
                           "serial:///dev/x?baud",
                           "serial:///dev/x?baud=",
                           "serial:///dev/x?b=1",
                           "serial:///dev/x?baud=49",
                           "serial:///dev/x?baud=100000001",
                           "serial:///dev/x?baud=99999999999",
                           "serial:///dev/x?baud=9600&parity=even"}) {
    const std::string error = complaint(text);
    EXPECT_TRUE(error.starts_with(std::string(text) + ": ")) << text << " gives: " << error;
    EXPECT_NE(error.find("tcp://HOST:PORT or serial://DEVICE?baud=RATE"), std::string::npos);
  }
}

TEST(Address, the_error_says_what_is_wrong) {
  EXPECT_NE(complaint("tcp://host").find("the port is missing"), std::string::npos);
  EXPECT_NE(complaint("tcp://:80").find("the host is missing"), std::string::npos);
  EXPECT_NE(complaint("tcp://h:99999").find("0 to 65535"), std::string::npos);
  EXPECT_NE(complaint("tcp://::1:80").find("in brackets"), std::string::npos);
  EXPECT_NE(complaint("serial://").find("the device is missing"), std::string::npos);
  EXPECT_NE(complaint("serial://d?x=1").find("the only option is baud"), std::string::npos);
}

}  // namespace
}  // namespace mote::host
