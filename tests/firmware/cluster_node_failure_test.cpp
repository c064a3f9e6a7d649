// SPDX-License-Identifier: Apache-2.0
// Chips that start anew, stay away, hold something else, and links that lie.
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

Tokens expected(const std::string& text, std::uint32_t count) {
  const OpenImage image(model_bytes());
  return test::expected_tokens(image.image(), text, count);
}

/// Begins an answer of a ring of `images` and returns after `count` tokens.
void begin(FakeCluster& ring, std::size_t count) {
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring " + std::to_string(ring.size()));
  ring.chip(0).board().shown.clear();
  ring.chip(0).board().typed += "!run n=16 -- Once\n";
  ASSERT_TRUE(ring.run_until([&] { return ring.told_count(0) == count; }));
}

std::vector<Json> finish(FakeCluster& ring, std::uint64_t seconds = 300) {
  EXPECT_TRUE(ring.run_until([&] { return ring.is_answered(0); }, seconds))
      << ring.chip(0).board().shown;
  return test::answers_of(ring.chip(0).board());
}

TEST(ClusterNodeFailure, a_chip_that_starts_anew_gets_its_seat_back) {
  for (const bool has_shards : {false, true}) {
    for (std::size_t lost = 1; lost < 4; ++lost) {
      FakeCluster ring(has_shards ? shards(4) : whole(4));
      begin(ring, 4);
      const std::uint64_t since_us = ring.now_us();
      ring.chip(lost).start(ring.now_us());
      const auto answers = finish(ring);
      EXPECT_EQ(test::told_tokens(answers), expected("Once", 16)) << lost;
      EXPECT_GE(answers.back()["sessions"], 2);
      EXPECT_LT(ring.now_us() - since_us, 6'000'000U);
    }
  }
}

TEST(ClusterNodeFailure, the_same_boot_number_does_not_matter) {
  FakeCluster ring(shards(3));
  begin(ring, 4);
  ring.chip(2).board().boot -= 1;
  ring.chip(2).start(ring.now_us());
  EXPECT_EQ(test::told_tokens(finish(ring)), expected("Once", 16));
}

TEST(ClusterNodeFailure, without_a_chip_for_good_whole_images_go_on) {
  FakeCluster ring(whole(4));
  begin(ring, 4);
  ring.chip(2).stop();
  const auto answers = finish(ring);
  EXPECT_EQ(test::told_tokens(answers), expected("Once", 16));
  bool is_told = false;
  for (const Json& line : answers) is_told = is_told || line.value("lost_seat", 0) == 2;
  EXPECT_TRUE(is_told);
  EXPECT_EQ(answers.back()["members"], 3);
}

TEST(ClusterNodeFailure, shards_wait_for_a_chip_that_comes_back_late) {
  FakeCluster ring(shards(4));
  begin(ring, 4);
  ring.chip(3).stop();
  ring.run_until([] { return false; }, 20);
  EXPECT_FALSE(ring.is_answered(0));
  ring.chip(3).start(ring.now_us());
  EXPECT_EQ(test::told_tokens(finish(ring)), expected("Once", 16));
}

TEST(ClusterNodeFailure, shards_without_a_chip_end_with_an_error_that_names_it) {
  FakeCluster ring(shards(3));
  begin(ring, 4);
  ring.chip(1).stop();
  const auto answers = finish(ring, 200);
  EXPECT_EQ(answers.back()["error"], status_text(Status::chip_silent));
  EXPECT_EQ(answers.back()["seat"], 1);
  EXPECT_EQ(answers.back()["tokens"], 4);
  // The answer after it begins when the chip is there again.
  ring.chip(1).start(ring.now_us());
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=5 -- abc")), expected("abc", 5));
}

TEST(ClusterNodeFailure, more_seats_than_chips) {
  for (const bool has_shards : {false, true}) {
    FakeCluster ring(has_shards ? shards(3) : whole(3));
    ring.wire_ring();
    ring.start();
    ring.ask(0, "seat ring 4");
    // Frames of seat 0 come to the chip of seat 2 by its next link, as if it were seat 3.
    const auto answers = ring.ask(0, "run n=6 -- Once");
    EXPECT_EQ(test::told_tokens(answers), expected("Once", 6));
    EXPECT_EQ(answers.back()["members"], 3);
  }
}

TEST(ClusterNodeFailure, a_cut_ring_is_a_line) {
  FakeCluster ring(whole(4));
  ring.wire_ring();
  // Between the chips 3 and 0.
  ring.wires()[6]->is_cut = true;
  ring.wires()[7]->is_cut = true;
  ring.start();
  ring.ask(0, "seat ring 4");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=6 -- Once")), expected("Once", 6));
}

TEST(ClusterNodeFailure, bit_errors_cost_time_only) {
  FakeCluster ring(shards(4));
  ring.wire_ring();
  // About one bit in 10,000.
  for (std::size_t i = 0; i < ring.wires().size(); ++i) ring.wires()[i]->flip_each = 1231 + 17 * i;
  ring.start();
  ring.ask(0, "seat ring 4");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=16 -- Once", 600)), expected("Once", 16));
  std::uint64_t damaged = 0;
  std::uint64_t repeated = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const Json links = ring.ask(i, "links").back();
    for (const Json& link : links["links"]) {
      damaged += link["damaged"].get<std::uint64_t>();
      repeated += link["repeated"].get<std::uint64_t>();
    }
  }
  EXPECT_GT(damaged, 0U);
  EXPECT_GT(repeated, 0U);
}

TEST(ClusterNodeFailure, garbage_on_links_and_consoles_is_no_seat) {
  FakeCluster ring(shards(3));
  ring.wire_ring();
  ring.start();
  Pcg32 random(9);
  for (const auto& wire : ring.wires()) {
    for (int i = 0; i < 5000; ++i) wire->bytes.push_back(static_cast<std::uint8_t>(random.next()));
  }
  ring.run_until([] { return false; }, 1);
  for (std::size_t i = 0; i < 3; ++i) {
    for (int n = 0; n < 3000; ++n) {
      const char byte = static_cast<char>(random.next());
      if (byte != 'r' && byte != 's') ring.chip(i).board().typed += byte;
    }
    ring.chip(i).board().typed += "\n";
    EXPECT_EQ(ring.ask(i, "info").back()["seats"], 0);
  }
  ring.ask(0, "seat ring 3");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=6 -- Once")), expected("Once", 6));
}

TEST(ClusterNodeFailure, noise_in_the_middle_of_an_answer) {
  FakeCluster ring(shards(3));
  begin(ring, 4);
  Pcg32 random(10);
  for (const auto& wire : ring.wires()) {
    for (int i = 0; i < 3000; ++i) wire->bytes.push_back(static_cast<std::uint8_t>(random.next()));
  }
  EXPECT_EQ(test::told_tokens(finish(ring)), expected("Once", 16));
}

TEST(ClusterNodeFailure, a_chip_with_another_model_takes_no_part) {
  auto images = whole(3);
  images[2] = test::make_image(test::firmware_model(2));
  FakeCluster ring(images);
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 3");
  const auto answers = ring.ask(0, "run n=6 -- Once");
  EXPECT_EQ(test::told_tokens(answers), expected("Once", 6));
  EXPECT_EQ(answers.back()["members"], 2);
}

TEST(ClusterNodeFailure, a_shard_of_another_model_is_named) {
  auto images = shards(3);
  const OpenImage other(test::make_image(test::firmware_model(2)));
  const test::Cut cut(other.image(), HeadPolicy::contiguous, {1, 1, 1});
  images[1] = test::shard_bytes(other.image(), cut.info(other.image(), 1));
  FakeCluster ring(images);
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 3");
  const auto answers = ring.ask(0, "run n=6 -- Once");
  EXPECT_EQ(answers.back()["error"], status_text(Status::wrong_model));
  EXPECT_EQ(answers.back()["seat"], 1);
}

TEST(ClusterNodeFailure, a_chip_without_a_model_says_so_and_takes_no_seat) {
  auto images = whole(3);
  images[1][images[1].size() / 2] ^= 4;
  FakeCluster ring(images);
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 3");
  ring.run_until([] { return false; }, 2);
  const Json info = ring.ask(1, "info").back();
  EXPECT_EQ(info["status"], status_text(Status::image_bad_section_crc));
  EXPECT_EQ(info["seats"], 0);
  EXPECT_TRUE(ring.ask(1, "seat ring 3").back().contains("error"));
  // It leads on to nobody, so that the first chip is alone.
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=6 -- Once")), expected("Once", 6));
}

TEST(ClusterNodeFailure, a_chip_with_too_little_memory_refuses_and_is_named) {
  FakeCluster ring(shards(2));
  // Enough for a few positions.
  ring.chip(1).board().arena = ring.chip(1).board().arena.first(8'000);
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 2");
  const auto answers = ring.ask(0, "run n=6 -- Once");
  EXPECT_EQ(answers.back()["error"], status_text(Status::arena_too_small));
  EXPECT_EQ(answers.back()["seat"], 1);
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=3 context=8 batch=1 -- a")), expected("a", 3));
}

TEST(ClusterNodeFailure, a_ring_may_be_seated_anew) {
  FakeCluster ring(whole(4));
  ring.wire_ring();
  ring.start();
  ring.ask(0, "seat ring 4");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=3 -- Once")), expected("Once", 3));
  // The first chip forgets everything.
  ring.chip(0).start(ring.now_us());
  EXPECT_TRUE(ring.ask(0, "run n=3 -- Once").back().contains("error"));
  ring.ask(0, "seat ring 4");
  EXPECT_EQ(test::told_tokens(ring.ask(0, "run n=5 -- abc")), expected("abc", 5));
}

}  // namespace
}  // namespace mote::firmware
