// SPDX-License-Identifier: Apache-2.0
// Nodes at serial lines of 2 Mbaud: what comes is a stream of bytes, and nobody connects.
#include <gtest/gtest.h>

#include <string>

#include "host/cluster/remote_fixture.hpp"
#include "support/byte_pump.hpp"

namespace mote::host {
namespace {

using test::PtyWire;

constexpr double kBytesPerSecond = 200'000;  // 2 Mbaud, ten bits a byte

class RemoteSerial : public test::RemoteTest {
 protected:
  RemoteSerial() {
    start_node(path(), line_a.address(1));
    start_node(path(), line_b.address(1));
  }
  /// The driver at the other ends.
  RemoteOptions serial_options() {
    RemoteOptions serial = options();
    serial.chips = {parse_address(line_a.address(0)), parse_address(line_b.address(0))};
    return serial;
  }

  PtyWire line_a{kBytesPerSecond};
  PtyWire line_b{kBytesPerSecond};
};

TEST_F(RemoteSerial, nodes_give_the_tokens_of_one_chip) {
  RemoteCluster cluster(image(), serial_options());
  EXPECT_EQ(cluster.chips(), 2U);
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 2U);
  EXPECT_EQ(cluster.coordinator().sessions(), 1U);
}

TEST_F(RemoteSerial, noise_costs_nothing_but_time) {
  RemoteCluster cluster(image(), serial_options());
  start(cluster);
  for (std::size_t i = 1; i <= 5; ++i) {
    take(cluster, 10 * i);
    line_a.make_noise(i);
    line_b.make_noise(i + 10);
  }
  expect_rest(cluster);
}

TEST_F(RemoteSerial, a_node_is_killed_and_comes_back) {
  RemoteCluster cluster(image(), serial_options());
  start(cluster);
  take(cluster, 20);
  node(0).kill();
  take(cluster, 25);
  EXPECT_EQ(cluster.members(), 1U);
  node(0).restart();
  expect_rest(cluster);
  ASSERT_TRUE(cluster.wait_for_chips(2, 5'000'000));
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 2U);
}

TEST_F(RemoteSerial, another_driver_begins_where_one_left_in_the_middle) {
  for (int i = 0; i < 3; ++i) {
    RemoteCluster cluster(image(), serial_options());
    ASSERT_EQ(cluster.chips(), 2U);
    start(cluster);
    if (i < 2) {
      take(cluster, 10);
    } else {
      expect_rest(cluster);
    }
  }
}

TEST_F(RemoteSerial, one_program_a_port) {
  RemoteCluster cluster(image(), serial_options());
  RemoteOptions second = serial_options();
  second.wait_us = 100'000;
  const std::string error = test::error_of([&] { RemoteCluster other(image(), second); });
  EXPECT_CONTAINS(error, "another program uses the port");
}

}  // namespace
}  // namespace mote::host
