// SPDX-License-Identifier: Apache-2.0
#include "firmware/cluster_node.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/fake_ring.hpp"
#include "support/shard_factory.hpp"

namespace mote::firmware {
namespace {

using Json = nlohmann::json;
using test::Bytes;
using test::FakeCluster;
using test::OpenImage;
using test::Tokens;

const Bytes& model_bytes() {
  static const Bytes bytes = test::make_image(test::firmware_model());
  return bytes;
}

std::vector<Bytes> whole(std::size_t chips) {
  return std::vector<Bytes>(chips, model_bytes());
}

std::vector<Bytes> shards(std::size_t chips) {
  const OpenImage image(model_bytes());
  const test::Cut cut(image.image(), HeadPolicy::contiguous, std::vector<std::uint8_t>(chips, 1));
  std::vector<Bytes> images;
  for (std::uint32_t rank = 0; rank < chips; ++rank) {
    images.push_back(test::shard_bytes(image.image(), cut.info(image.image(), rank)));
  }
  return images;
}

Tokens expected(const std::string& text, std::uint32_t count, const SamplerConfig& sampling = {}) {
  const OpenImage image(model_bytes());
  return test::expected_tokens(image.image(), text, count, sampling);
}

std::string seat_command(std::size_t chips) {
  return "seat ring " + std::to_string(chips);
}

TEST(ClusterNode, a_ring_answers_as_one_chip) {
  const Tokens tokens = expected("Once", 12);
  for (const std::size_t chips : {1U, 2U, 3U, 4U, 6U}) {
    FakeCluster ring(whole(chips));
    ring.wire_ring();
    ring.start();
    EXPECT_EQ(ring.ask(0, seat_command(chips)).back()["seats"], chips);
    const auto answers = ring.ask(0, "run n=12 -- Once");
    EXPECT_EQ(test::told_tokens(answers), tokens) << chips << " chips";
    EXPECT_EQ(answers.back()["members"], chips);
    EXPECT_EQ(answers.back()["sessions"], 1);
  }
}

TEST(ClusterNode, shards_answer_as_one_chip_sampled_too) {
  SamplerConfig sampling;
  sampling.temperature_q16 = kOneQ16;
  sampling.top_k = 20;
  sampling.top_p_q16 = kOneQ16;
  sampling.seed = 5;
  FakeCluster ring(shards(4));
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 4");
  const std::string options = "run n=15 temperature=1 top_k=20 top_p=1 min_p=0 seed=5 -- ";
  EXPECT_EQ(test::told_tokens(ring.ask(0, options + "abc")), expected("abc", 15, sampling));
  EXPECT_EQ(test::told_tokens(ring.ask(0, options + "xyz")), expected("xyz", 15, sampling));
}

TEST(ClusterNode, a_chip_whose_links_are_swapped_finds_its_way) {
  for (const std::size_t crossed : {1U, 2U, 3U}) {
    FakeCluster ring(shards(4));
    ring.wire_ring(crossed);
    ring.start();
    ring.ask(0, "seat ring 4");
    EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=6 -- Once")), expected("Once", 6)) << crossed;
  }
}

TEST(ClusterNode, a_star_whose_chips_are_told_by_their_consoles) {
  FakeCluster star(shards(4));
  for (std::size_t leaf = 1; leaf < 4; ++leaf) star.wire(0, leaf);
  star.start();
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(star.ask(i, "seat star 4 " + std::to_string(i)).back()["seat"], i);
  }
  EXPECT_EQ(test::told_tokens(star.ask(0, "run n=8 -- Once")), expected("Once", 8));
}

TEST(ClusterNode, two_chips_on_one_medium) {
  FakeCluster pair(shards(2));
  pair.wire(0, 1);
  pair.start();
  pair.ask(0, "seat broadcast 2");
  pair.ask(1, "seat broadcast 2 1");
  EXPECT_EQ(test::told_tokens(pair.ask(0, "run n=8 -- Once")), expected("Once", 8));
}

TEST(ClusterNode, a_board_that_was_built_for_a_seat_needs_no_command) {
  FakeCluster ring(shards(3));
  ring.wire_ring();
  ring.chip(0).board().fixed = {Topology::ring, 3, 0};
  ring.start();
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=6 -- Once")), expected("Once", 6));
}

TEST(ClusterNode, boards_that_compute_apart_answer_the_same) {
  FakeCluster ring(shards(3));
  ring.wire_ring();
  for (std::size_t i = 0; i < 3; ++i) ring.chip(i).board().computes_apart = i != 1;
  ring.start();
  ring.ask(0, "seat ring 3");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=8 -- Once")), expected("Once", 8));
}

TEST(ClusterNode, small_frames_carry_the_same) {
  FakeCluster ring(shards(3));
  ring.wire_ring();
  ring.chip(1).board().frame_bytes = kMinFrameBytes;
  ring.start();
  ring.ask(0, "seat ring 3");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=8 batch=8 -- Once upon a time")),
            expected("Once upon a time", 8));
}

TEST(ClusterNode, only_the_chip_of_seat_0_answers) {
  FakeCluster ring(shards(2));
  ring.wire_ring();
  ring.start();
  EXPECT_EQ(ring.ask(0, "run x").back()["error"],
            "this chip has no seat: expected seat ring SEATS");
  ring.ask(0, "seat ring 2");
  ring.run_until([] { return false; }, 1);
  EXPECT_EQ(ring.ask(1, "run x").back()["error"],
            "this chip only computes: expected run at the chip of seat 0");
  EXPECT_EQ(ring.ask(0, "bench").back()["error"],
            "bench: expected run, seat, info, links, reset or help");
}

TEST(ClusterNode, the_first_chip_needs_the_tokenizer) {
  auto images = shards(2);
  std::swap(images[0], images[1]);
  FakeCluster ring(images);
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 2");
  EXPECT_EQ(ring.ask(0, "run x").back()["error"],
            "the image has no tokenizer: expected the shard of rank 0");
}

TEST(ClusterNode, seats_that_cannot_be_are_refused) {
  FakeCluster ring(whole(2));
  ring.wire_ring();
  ring.start();
  for (const char* line :
       {"seat", "seat ring", "seat ring x", "seat ring 0", "seat ring 65", "seat tree 4",
        "seat ring 4 4", "seat ring 4 1 1", "seat ring 4 silence_ms=1", "seat ring 4 what=1"}) {
    EXPECT_TRUE(ring.ask(0, line).back().contains("error")) << line;
  }
  // The hub of a star of 4 needs 3 links.
  EXPECT_EQ(ring.ask(0, "seat star 4").back()["error"], status_text(Status::bad_cluster_config));
  EXPECT_EQ(ring.ask(0, "info").back()["seats"], 0);
  EXPECT_EQ(ring.ask(0, "seat ring 2 silence_ms=500 retry_ms=20").back()["done"], true);
}

TEST(ClusterNode, info_and_links_tell_what_happened) {
  FakeCluster ring(shards(3));
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 3");
  ring.ask(0, "run n=5 context=20 batch=2 -- Once");
  for (std::size_t i = 0; i < 3; ++i) {
    const Json info = ring.ask(i, "info").back();
    EXPECT_EQ(info["program"], "cluster_node");
    EXPECT_EQ(info["topology"], "ring");
    EXPECT_EQ(info["seat"], i);
    EXPECT_EQ(info["rank"], i);
    EXPECT_EQ(info["chips"], 3);
    EXPECT_EQ(info["context"], 20);
    EXPECT_EQ(info["batch"], 2);
    const OpenImage shard(shards(3)[i]);
    NodeConfig wiring;
    wiring.seats = 3;
    wiring.seat = static_cast<std::uint32_t>(i);
    EXPECT_EQ(info["arena_bytes"],
              TensorParallelNode::arena_bytes(shard.image(), wiring, {20, 2, 1}, shard->held()));
    const Json links = ring.ask(i, "links").back();
    EXPECT_EQ(links["sessions"], 1);
    ASSERT_EQ(links["links"].size(), 2U);
    for (const Json& link : links["links"]) {
      EXPECT_GT(link["payload"], 100);
      EXPECT_GT(link["bytes_in"], link["frames_in"]);
      EXPECT_GT(link["bytes_out"], link["payload"]);
      EXPECT_EQ(link["damaged"], 0);
    }
  }
  // What one end has sent has come to the other, but for what is still under way.
  const Json first = ring.ask(0, "links").back()["links"][0];
  const Json second = ring.ask(1, "links").back()["links"][1];
  EXPECT_NEAR(first["bytes_out"].get<double>(), second["bytes_in"].get<double>(), 600);
}

TEST(ClusterNode, control_c_ends_an_answer_and_the_next_one_works) {
  FakeCluster ring(whole(3));
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 3");
  ring.chip(0).board().typed += "!run -- Once\n";
  ring.chip(0).board().shown.clear();
  ASSERT_TRUE(ring.run_until([&] { return ring.told_count(0) == 3; }));
  ring.chip(0).board().typed += "\x03";
  ASSERT_TRUE(ring.run_until([&] { return ring.is_answered(0); }));
  EXPECT_EQ(test::answers_of(ring.chip(0).board()).back()["ended"], "stopped");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=4 -- abc")), expected("abc", 4));
}

TEST(ClusterNode, people_get_a_prompt_after_the_answer) {
  FakeCluster ring(whole(2));
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 2");
  std::string& shown = ring.chip(0).board().shown;
  shown.clear();
  ring.chip(0).board().typed += "run n=3 -- Once\n";
  ASSERT_TRUE(ring.run_until([&] { return shown.ends_with("\r\n> "); })) << shown;
  EXPECT_NE(shown.find("  tokens            3\r\n"), std::string::npos) << shown;
}

TEST(ClusterNode, reset_ends_the_program) {
  FakeCluster ring(whole(1));
  ring.wire_ring();
  ring.start();
  ring.ask(0, "reset");
  EXPECT_FALSE(ring.chip(0).is_running());
}

TEST(ClusterNode, the_program_itself_needs_memory) {
  test::FakeBoard board(model_bytes(), 1024);
  test::use_board(board);
  EXPECT_EQ(run_cluster_node(), 1);
  test::FakeBoard large(model_bytes());
  test::use_board(large);
  large.typed = "!info\n!reset\n";
  EXPECT_EQ(run_cluster_node(), 0);
  EXPECT_EQ(test::answers_of(large)[0]["links"].size(), 0U);
}

}  // namespace
}  // namespace mote::firmware
