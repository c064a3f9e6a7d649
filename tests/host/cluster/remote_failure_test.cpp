// SPDX-License-Identifier: Apache-2.0
// Nodes that die, hang, come back or speak nonsense in the middle of an answer do not change it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "host/cluster/remote_fixture.hpp"
#include "mote/sampler.hpp"
#include "support/byte_pump.hpp"

namespace mote::host {
namespace {

using RemoteFailure = test::RemoteTest;
using test::TcpTap;

std::uint16_t port_of(const test::NodeProcess& node) {
  return parse_address(node.address()).port;
}

constexpr std::uint64_t kShortTimeoutUs = 700'000;
/// What is stated, and what a busy computer may add.
constexpr double kMostNoticeS = 0.7 + 2.0;

double now_s() {
  return static_cast<double>(clock_us()) * 1e-6;
}

TEST_F(RemoteFailure, one_of_four_is_killed_at_any_moment) {
  const auto seed = static_cast<std::uint64_t>(::getpid());
  RecordProperty("seed", std::to_string(seed));
  Pcg32 random(seed);
  start_nodes(4);
  for (int i = 0; i < 5; ++i) {
    const std::uint32_t victim = random.next() % 4;
    const std::uint32_t tokens = random.next() % test::kAnswer;
    const auto delay = std::chrono::microseconds(random.next() % 3000);
    SCOPED_TRACE(testing::Message()
                 << "node " << victim << " after " << tokens << " tokens, seed " << seed);
    RemoteCluster cluster(image(), options());
    ASSERT_EQ(cluster.chips(), 4U);
    start(cluster);
    take(cluster, tokens);
    std::jthread killer([&] {
      std::this_thread::sleep_for(delay);
      node(victim).kill();
    });
    expect_rest(cluster);
    killer.join();
    node(victim).kill();
    node(victim).restart();
  }
}

TEST_F(RemoteFailure, a_killed_node_is_noticed_at_once) {
  start_nodes(4);
  RemoteOptions patient = options();
  patient.timeout_us = 20'000'000;
  RemoteCluster cluster(image(), patient);
  start(cluster);
  take(cluster, 10);
  node(2).kill();
  const double begin = now_s();
  expect_rest(cluster);
  EXPECT_LT(now_s() - begin, 10.0);
  EXPECT_EQ(cluster.members(), 3U);
  EXPECT_EQ(cluster.coordinator().sessions(), 2U);
  EXPECT_CONTAINS(said(), "chip 3 (" + node(2).address() + "): ");
  EXPECT_CONTAINS(said(), "; going on with 3 chips\n");
}

TEST_F(RemoteFailure, one_after_another_until_the_driver_is_alone) {
  start_nodes(3);
  RemoteCluster cluster(image(), options());
  start(cluster);
  for (std::size_t i = 0; i < 3; ++i) {
    take(cluster, 10 * (i + 1));
    node(i).kill();
  }
  expect_rest(cluster);
  EXPECT_CONTAINS(said(), "going on with 2 chips\n");
  EXPECT_CONTAINS(said(), "going on with 1 chip\n");
}

TEST_F(RemoteFailure, all_at_once) {
  start_nodes(2);
  RemoteCluster cluster(image(), options());
  start(cluster);
  take(cluster, 10);
  node(0).kill();
  node(1).kill();
  expect_rest(cluster);
}

TEST_F(RemoteFailure, a_node_that_hangs_is_noticed_within_the_timeout) {
  start_nodes(3);
  RemoteOptions watchful = options();
  watchful.timeout_us = kShortTimeoutUs;
  RemoteCluster cluster(image(), watchful);
  start(cluster);
  take(cluster, 30);
  node(1).send_signal(SIGSTOP);
  const double begin = now_s();
  ASSERT_TRUE(cluster.next_token());
  take(cluster, 35);
  EXPECT_LT(now_s() - begin, kMostNoticeS);
  EXPECT_EQ(cluster.members(), 2U);
  EXPECT_CONTAINS(said(), "chip 2 (" + node(1).address() + ") has fallen silent; going on");
  node(1).send_signal(SIGCONT);
  expect_rest(cluster);
  ASSERT_TRUE(cluster.wait_for_chips(3, 5'000'000));
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteFailure, a_node_that_comes_back_takes_part_in_the_next_answer) {
  start_nodes(3);
  RemoteCluster cluster(image(), options());
  start(cluster);
  take(cluster, 5);
  node(0).kill();
  expect_rest(cluster);
  EXPECT_EQ(cluster.members(), 2U);
  node(0).restart();
  ASSERT_TRUE(cluster.wait_for_chips(3, 5'000'000));
  EXPECT_CONTAINS(said(), "chip 1 (" + node(0).address() + ") is there\n");
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteFailure, the_driver_takes_the_rank_of_a_shard_that_is_lost) {
  start_shards(3);
  RemoteCluster cluster(image(), options());
  start(cluster);
  take(cluster, 40);
  node(1).kill();
  expect_rest(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteFailure, shards_wait_for_the_one_that_comes_back) {
  start_shards(3, 1);
  const test::OpenImage own = shard_of_rank_0(3);
  RemoteCluster cluster(own.image(), options());
  start(cluster);
  take(cluster, 40);
  node(1).kill();
  node(1).restart_after(std::chrono::milliseconds(300));
  expect_rest(cluster);
  EXPECT_EQ(cluster.members(), 3U);
  EXPECT_CONTAINS(said(), "waiting for chips\n");
}

TEST_F(RemoteFailure, shards_that_stay_away_end_the_answer_by_name) {
  start_shards(3, 1);
  const test::OpenImage own = shard_of_rank_0(3);
  RemoteOptions hasty = options();
  hasty.give_up_us = 1'000'000;
  RemoteCluster cluster(own.image(), hasty);
  start(cluster);
  take(cluster, 5);
  node(1).kill();
  const double begin = now_s();
  const std::string error = test::error_of([&] { expect_rest(cluster); });
  EXPECT_EQ(error, "chip 2 (" + node(1).address() + ") has fallen silent");
  EXPECT_LT(now_s() - begin, 3.0);
}

TEST_F(RemoteFailure, garbage_in_the_middle_of_an_answer) {
  start_nodes(3);
  TcpTap tap(port_of(node(1)));
  RemoteOptions tapped = options();
  tapped.chips[1] = parse_address(tap.address());
  tapped.timeout_us = kShortTimeoutUs;
  RemoteCluster cluster(image(), tapped);
  ASSERT_EQ(cluster.chips(), 3U);
  start(cluster);
  take(cluster, 20);
  tap.set_mode(TcpTap::Mode::garbage);
  const double begin = now_s();
  take(cluster, 25);
  EXPECT_LT(now_s() - begin, kMostNoticeS);
  EXPECT_EQ(cluster.members(), 2U);
  expect_rest(cluster);
}

TEST_F(RemoteFailure, a_moment_of_garbage_or_silence_costs_nothing_but_time) {
  start_nodes(2);
  TcpTap tap(port_of(node(0)));
  RemoteOptions tapped = options();
  tapped.chips[0] = parse_address(tap.address());
  RemoteCluster cluster(image(), tapped);
  start(cluster);
  for (const TcpTap::Mode mode : {TcpTap::Mode::garbage, TcpTap::Mode::silence}) {
    take(cluster, cluster.text().size() - test::kPrompt + 20);
    std::jthread changer([&] {
      tap.set_mode(mode);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      tap.set_mode(TcpTap::Mode::pass);
    });
    take(cluster, cluster.text().size() - test::kPrompt + 10);
    changer.join();
  }
  expect_rest(cluster);
  EXPECT_EQ(cluster.coordinator().sessions(), 1U);
}

TEST_F(RemoteFailure, a_stranger_that_speaks_nonsense_is_left_out) {
  start_nodes(2);
  TcpTap stranger(0);
  stranger.set_mode(TcpTap::Mode::garbage);
  RemoteOptions with_stranger = options();
  with_stranger.chips.push_back(parse_address(stranger.address()));
  with_stranger.wait_us = 500'000;
  RemoteCluster cluster(image(), with_stranger);
  EXPECT_CONTAINS(said(), "chip 3 (" + stranger.address() + "): ");
  EXPECT_CONTAINS(said(), "; going on without it\n");
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 2U);
}

}  // namespace
}  // namespace mote::host
