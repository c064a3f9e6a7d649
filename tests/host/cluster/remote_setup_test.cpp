// SPDX-License-Identifier: Apache-2.0
// A cluster that cannot work is refused before it begins, with both sides named.
#include "cluster/remote_setup.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "host/cluster/remote_fixture.hpp"
#include "support/program.hpp"

namespace mote::host {
namespace {

class RemoteSetup : public test::RemoteTest {
 protected:
  /// What is said where the nodes so far cannot be driven.
  std::string refusal(RemoteOptions options) const {
    return test::error_of([&] {
      RemoteCluster cluster(image(), options);
      start(cluster);
      cluster.next_token();
    });
  }
};

TEST_F(RemoteSetup, a_node_with_another_model) {
  start_node();
  const test::OpenImage other(test::remote_model(2));
  const test::ImageFile file(test::make_image(test::remote_model(2)));
  start_node(file.path(), "tcp://127.0.0.1:0");
  const std::string error = refusal(options());
  EXPECT_EQ(error, "chip 2 (" + node(1).address() + ") holds model " +
                       short_hash(other->content_hash()) + ", the driver " +
                       short_hash(image().content_hash()));
}

TEST_F(RemoteSetup, two_nodes_with_the_same_shard) {
  const test::Cut cut(image(), HeadPolicy::contiguous, {1, 1});
  start_shard(cut, 1);
  start_shard(cut, 1);
  const std::string error = refusal(options());
  EXPECT_EQ(error, "nobody holds rank 0 of 2: chip 1 (" + node(0).address() +
                       ") has rank 1 of 2, chip 2 (" + node(1).address() + ") has rank 1 of 2");
}

TEST_F(RemoteSetup, a_driver_with_a_shard_knows_the_cut) {
  const test::Cut cut(image(), HeadPolicy::round_robin, {2, 1, 1});
  start_shard(cut, 1);
  start_shard(cut, 2);
  const test::OpenImage own(test::shard_bytes(image(), cut.info(image(), 0)));
  RemoteCluster cluster(own.image(), options());
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 3U);
}

TEST_F(RemoteSetup, shards_of_another_cut_than_the_drivers) {
  const test::Cut cut(image(), HeadPolicy::round_robin, {1, 1});
  start_shard(cut, 0);
  start_shard(cut, 1);
  EXPECT_CONTAINS(refusal(options()), ") holds another part than the driver's cut gives it");
  RemoteOptions robin = options();
  robin.policy = HeadPolicy::round_robin;
  EXPECT_EQ(refusal(robin), "");
}

TEST_F(RemoteSetup, nobody_at_the_address) {
  const std::string address = start_node().address();
  RemoteOptions nobody = options();
  node(0).kill();
  nobody.wait_us = 200'000;
  EXPECT_EQ(refusal(nobody), "chip 1 (" + address + "): Connection refused");
}

TEST_F(RemoteSetup, those_that_are_there_begin_without_the_others) {
  start_nodes(2);
  RemoteOptions some = options();
  node(0).kill();
  some.wait_us = 200'000;
  RemoteCluster cluster(image(), some);
  EXPECT_EQ(said(),
            "chip 1 (" + node(0).address() + "): Connection refused; going on without it\n");
  expect_answer(cluster);
  EXPECT_EQ(cluster.members(), 1U);
}

TEST_F(RemoteSetup, a_node_that_starts_late_is_waited_for) {
  const std::string address = start_node().address();
  RemoteOptions late = options();
  node(0).kill();
  node(0).restart_after(std::chrono::milliseconds(200));
  RemoteCluster cluster(image(), late);
  expect_answer(cluster);
}

TEST_F(RemoteSetup, a_node_that_serves_another_driver) {
  start_nodes(1);
  RemoteCluster first(image(), options());
  RemoteOptions second = options();
  second.wait_us = 300'000;
  EXPECT_EQ(refusal(second), "chip 1 (" + node(0).address() +
                                 "): the line is open, but no chip answers; it may serve another "
                                 "driver");
}

TEST_F(RemoteSetup, a_node_with_too_little_memory) {
  start_node();
  start_node(path(), "tcp://127.0.0.1:0", {"--memory", "8KiB"});
  EXPECT_EQ(refusal(options()),
            "chip 2 (" + node(1).address() + ") has too little memory for this context and batch");
}

TEST_F(RemoteSetup, too_many_or_no_chips) {
  EXPECT_EQ(refusal(options()), "0 chips; a driver has 1 to 63");
  RemoteOptions many = options();
  many.chips.assign(64, parse_address("tcp://127.0.0.1:1"));
  EXPECT_EQ(refusal(many), "64 chips; a driver has 1 to 63");
}

TEST_F(RemoteSetup, a_text_that_does_not_fit) {
  start_nodes(1);
  RemoteOptions small = options();
  small.run.context_length = test::kPrompt - 1;
  EXPECT_EQ(refusal(small), "the cluster: the tokens do not fit the context");
}

TEST_F(RemoteSetup, a_node_says_why_it_cannot_start) {
  const auto complaint = [&](const std::string& image, const std::string& listen) {
    const test::ProgramResult result =
        test::run_program(MOTE_PROGRAM, {"node", "-m", image, "--listen", listen});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    return result.errors;
  };
  EXPECT_CONTAINS(complaint("/nowhere.mote", "tcp://127.0.0.1:0"), "mote: /nowhere.mote: ");
  EXPECT_CONTAINS(complaint(path(), "127.0.0.1:0"), "an address is tcp://HOST:PORT or serial://");
  EXPECT_CONTAINS(complaint(path(), "serial:///nowhere"), "serial:///nowhere: No such file");
  test::Bytes damaged = image_bytes();
  damaged.back() ^= 1;
  EXPECT_CONTAINS(complaint(test::ImageFile(damaged).path(), "tcp://127.0.0.1:0"), "damaged");
  start_node();
  EXPECT_CONTAINS(complaint(path(), node(0).address()), ": cannot listen: Address already in use");
}

}  // namespace
}  // namespace mote::host
