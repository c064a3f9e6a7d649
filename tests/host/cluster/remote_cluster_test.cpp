// SPDX-License-Identifier: Apache-2.0
// Nodes that are processes of their own answer with the tokens and logits of one chip, bit for bit.
#include "cluster/remote_cluster.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "host/cluster/remote_fixture.hpp"

namespace mote::host {
namespace {

using RemoteNodes = test::RemoteTest;

TEST_F(RemoteNodes, nodes_give_the_tokens_of_one_chip) {
  for (const std::size_t count : {1U, 2U, 4U}) {
    SCOPED_TRACE(count);
    start_nodes(count);
    RemoteCluster cluster(image(), options());
    EXPECT_EQ(cluster.chips(), count);
    expect_answer(cluster);
    EXPECT_EQ(cluster.members(), count);
    EXPECT_EQ(cluster.coordinator().sessions(), 1U);
    const WorkStats stats = cluster.stats();
    EXPECT_EQ(stats.tokens, test::kAnswer);
    EXPECT_GT(stats.sent_bytes, 0U);
    EXPECT_GT(stats.received_bytes, 0U);
  }
  EXPECT_EQ(said(), "");
}

TEST_F(RemoteNodes, round_robin_and_one_answer_after_another) {
  start_nodes(3);
  RemoteOptions robin = options();
  robin.policy = HeadPolicy::round_robin;
  RemoteCluster cluster(image(), robin);
  expect_answer(cluster);
  expect_answer(cluster);
}

TEST_F(RemoteNodes, an_answer_may_be_cut_short) {
  start_nodes(2);
  RemoteCluster cluster(image(), options());
  start(cluster);
  take(cluster, 20);
  cluster.stop();
  expect_answer(cluster);
}

TEST_F(RemoteNodes, the_driver_may_compute_too) {
  start_nodes(2);
  RemoteOptions own = options();
  own.weight = 3;
  RemoteCluster cluster(image(), own);
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteNodes, shards_give_the_tokens_of_the_whole) {
  start_shards(3);
  RemoteCluster cluster(image(), options());
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteNodes, the_driver_may_hold_a_shard) {
  start_shards(3, 1);
  const test::OpenImage own = shard_of_rank_0(3);
  RemoteCluster cluster(own.image(), options());
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteNodes, a_whole_image_takes_the_rank_that_nobody_holds) {
  start_shards(3, 1);
  start_node();
  RemoteCluster cluster(image(), options());
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteNodes, drivers_follow_one_another) {
  start_nodes(2);
  for (int i = 0; i < 3; ++i) {
    RemoteCluster cluster(image(), options());
    start(cluster);
    // The second leaves in the middle.
    if (i == 1) {
      take(cluster, 10);
    } else {
      expect_rest(cluster);
    }
  }
}

TEST_F(RemoteNodes, a_node_that_serves_one_driver_ends_with_it) {
  test::NodeProcess& node = start_node(path(), "tcp://127.0.0.1:0", {"--once"});
  { RemoteCluster cluster(image(), options()); }
  EXPECT_EQ(node.wait(), 0);
}

TEST_F(RemoteNodes, a_context_that_is_full_ends_the_answer) {
  start_nodes(2);
  RemoteOptions small = options();
  small.run.context_length = 20;
  RemoteCluster cluster(image(), small);
  start(cluster);
  while (cluster.next_token()) {
  }
  EXPECT_EQ(cluster.text().size(), 21U);
}

}  // namespace
}  // namespace mote::host
