// SPDX-License-Identifier: Apache-2.0
// Chips that fail in the middle of an answer: it goes on with the same tokens, or ends with an
// error that names the chip.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mote/coordinator.hpp"
#include "support/chip_answer.hpp"
#include "support/image_factory.hpp"
#include "support/shard_factory.hpp"
#include "support/wired_nodes.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Answer;
using test::Flight;
using test::OpenImage;
using test::Tokens;
using test::WiredNodes;
using test::WiredOptions;
using State = Coordinator::State;

constexpr std::uint32_t kVocabulary = 67;
constexpr std::uint32_t kAnswer = 6;
constexpr std::uint32_t kContext = 40;
constexpr RunConfig kRun = {kContext, 4, kVocabulary};

const test::Bytes& small_bytes() {
  static const test::Bytes kBytes = [] {
    test::ModelSpec spec;
    spec.shape = {90, 101, 2, 2, 1, 24, kVocabulary, kContext};
    spec.block = 16;
    return test::make_image(spec);
  }();
  return kBytes;
}

const Image& small_image() {
  static const OpenImage kImage(small_bytes());
  return kImage.image();
}

const Tokens& prompt() {
  static const Tokens kTokens = test::random_tokens(kVocabulary, 11);
  return kTokens;
}

enum class Sampling : std::uint8_t { greedy, penalized };

WiredOptions options_of(Sampling sampling = Sampling::penalized) {
  WiredOptions options;
  options.run = kRun;
  if (sampling == Sampling::penalized) options.sampler = test::penalized_sampling();
  return options;
}

const Tokens& expected_text(Sampling sampling) {
  const auto make = [](Sampling which) {
    return test::answer_of_one(small_image(), kRun, prompt(), options_of(which).sampler, kAnswer);
  };
  static const Answer kGreedy = make(Sampling::greedy);
  static const Answer kPenalized = make(Sampling::penalized);
  return sampling == Sampling::greedy ? kGreedy.text : kPenalized.text;
}

void expect_answer(WiredNodes& nodes, Sampling sampling = Sampling::penalized) {
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  ASSERT_EQ(nodes.coordinator().state(), State::done)
      << status_text(nodes.coordinator().failure().status);
  EXPECT_TRUE(std::ranges::equal(nodes.coordinator().text(), expected_text(sampling)));
}

Tokens members_of(WiredNodes& nodes) {
  const Ready& ready = nodes.coordinator().ready();
  return {ready.seats.begin(), ready.seats.begin() + ready.members};
}

/// Steps that an undisturbed answer takes.
std::uint64_t steps_of(std::uint32_t chips, Topology topology) {
  WiredOptions options = options_of();
  options.node.topology = topology;
  WiredNodes nodes(small_image(), chips, options);
  EXPECT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  const std::uint64_t begun_us = nodes.now_us();
  expect_answer(nodes);
  return nodes.now_us() - begun_us;
}

/// Lets `fail` happen to a chip at every few moments of an answer.
template <typename Fail>
void fail_at_any_moment(Status status, Fail fail) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    const std::uint64_t steps = steps_of(4, topology);
    for (std::uint64_t moment = 5; moment < steps; moment += 7) {
      const Sampling sampling = moment % 2 == 0 ? Sampling::greedy : Sampling::penalized;
      const auto seat = static_cast<std::uint32_t>(1 + moment % 3);
      SCOPED_TRACE(testing::Message() << "topology " << int(topology) << ", seat " << seat
                                      << ", moment " << moment << " of " << steps);
      WiredOptions options = options_of(sampling);
      options.node.topology = topology;
      WiredNodes nodes(small_image(), 4, options);
      ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
      nodes.run(moment);
      const bool was_running = nodes.coordinator().state() == State::running;
      const std::uint64_t failed_us = nodes.now_us();
      fail(nodes, seat);
      ASSERT_TRUE(nodes.run_until(
          [&] {
            return nodes.coordinator().sessions() == 2 ||
                   nodes.coordinator().state() >= State::done;
          },
          2 * test::kWiredTiming.silence_us));
      if (was_running && nodes.coordinator().sessions() == 2) {
        EXPECT_LE(nodes.now_us() - failed_us,
                  test::kWiredTiming.silence_us + test::kWiredTiming.heartbeat_us);
        EXPECT_EQ(nodes.coordinator().last_loss().status, status);
        EXPECT_EQ(nodes.coordinator().last_loss().seat, seat);
      }
      expect_answer(nodes, sampling);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(CoordinatorFailure, a_chip_that_falls_silent_is_left_out) {
  fail_at_any_moment(Status::chip_silent,
                     [](WiredNodes& nodes, std::uint32_t seat) { nodes.take_down(seat); });
}

TEST(CoordinatorFailure, a_chip_that_starts_anew_is_noticed_and_taken_in_again) {
  fail_at_any_moment(Status::chip_restarted,
                     [](WiredNodes& nodes, std::uint32_t seat) { nodes.start_chip(seat, 2); });
}

TEST(CoordinatorFailure, a_link_that_is_down_counts_at_once) {
  for (const std::uint64_t tokens : {11U, 12U, 15U}) {
    WiredNodes nodes(small_image(), 3, options_of());
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    ASSERT_TRUE(nodes.run_until([&] {
      return nodes.coordinator().state() == State::running &&
             nodes.coordinator().text().size() >= tokens;
    }));
    nodes.take_down(1);
    nodes.coordinator().seat_down(1);
    nodes.run(2);
    EXPECT_EQ(nodes.coordinator().sessions(), 2U);
    EXPECT_EQ(members_of(nodes), (Tokens{0, 2}));
    expect_answer(nodes);
  }
}

TEST(CoordinatorFailure, a_link_that_is_down_counts_at_once_in_the_first_moments_too) {
  std::vector<SeatRecord> records(2);
  std::vector<std::uint32_t> text(kContext + 1);
  AlignedBytes memory(test::Bytes(100'000));
  NodeConfig config;
  config.seats = 2;
  TensorParallelNode node;
  ASSERT_EQ(node.init(small_image(), config, std::as_writable_bytes(memory.span()), records, 0),
            Status::ok);
  Coordinator coordinator(node, records, text, {});
  records[1].is_known = true;
  records[1].heard_us = 10;
  records[1].hello.weight = 1;
  std::ranges::copy(small_image().model_hash(), records[1].hello.model.begin());
  ASSERT_EQ(coordinator.start(prompt(), {kRun, {}, kAnswer}, 20), Status::ok);
  coordinator.poll(30);
  ASSERT_EQ(coordinator.ready().members, 2);
  coordinator.seat_down(1);
  coordinator.poll(40);
  EXPECT_EQ(coordinator.sessions(), 2U);
  EXPECT_EQ(coordinator.ready().members, 1);
}

TEST(CoordinatorFailure, one_failure_after_another_down_to_a_single_chip) {
  for (const Topology topology : {Topology::ring, Topology::broadcast}) {
    WiredOptions options = options_of();
    options.node.topology = topology;
    WiredNodes nodes(small_image(), 6, options);
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    for (const std::uint32_t seat : {3U, 1U, 5U, 2U, 4U}) {
      const std::size_t tokens = nodes.coordinator().text().size() + 1;
      ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() >= tokens; }));
      nodes.take_down(seat);
    }
    expect_answer(nodes);
    EXPECT_EQ(members_of(nodes), Tokens{0});
  }
}

TEST(CoordinatorFailure, the_hub_of_a_star_is_no_more_than_a_chip) {
  WiredOptions options = options_of();
  options.node.topology = Topology::star;
  options.node.hub = 2;
  WiredNodes nodes(small_image(), 4, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
  nodes.take_down(2);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), Tokens{0}) << "the others cannot be reached";
}

TEST(CoordinatorFailure, a_chip_that_returns_is_taken_in_by_the_next_session) {
  WiredNodes nodes(small_image(), 4, options_of());
  ASSERT_EQ(nodes.start(prompt(), 29), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
  nodes.take_down(1);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().sessions() == 2; }));
  EXPECT_EQ(members_of(nodes), (Tokens{0, 2, 3}));
  nodes.start_chip(1, 2);
  nodes.run(50);
  EXPECT_EQ(nodes.coordinator().sessions(), 2U) << "a session is not disturbed for a newcomer";
  EXPECT_FALSE(nodes.node(1).is_in_session());
  nodes.start_chip(3, 2);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().sessions() == 3; }, 3000));
  EXPECT_EQ(members_of(nodes), (Tokens{0, 1, 2, 3}));
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  const Answer answer =
      test::answer_of_one(small_image(), kRun, prompt(), test::penalized_sampling(), 29);
  EXPECT_TRUE(std::ranges::equal(nodes.coordinator().text(), answer.text));
}

TEST(CoordinatorFailure, a_damaged_image_ends_that_chips_part) {
  AlignedBytes own(small_bytes());
  Image damaged;
  ASSERT_EQ(damaged.open(own.span()), Status::ok);
  WiredOptions options = options_of();
  options.node.verify_interval = 1;
  WiredNodes nodes({&small_image(), &damaged, &small_image()}, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
  Section section;
  ASSERT_TRUE(damaged.find(section, SectionKind::w_gate, 1));
  own.span()[section.offset + section.bytes / 2] ^= 1;
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 2}));
  EXPECT_EQ(nodes.coordinator().last_loss().status, Status::image_damaged);
  EXPECT_EQ(nodes.coordinator().last_loss().seat, 1);
  // A repaired chip that starts anew is welcome.
  own.span()[section.offset + section.bytes / 2] ^= 1;
  nodes.start_chip(1, 2);
  nodes.run(100);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 1, 2}));
}

TEST(CoordinatorFailure, the_coordinators_own_damaged_image_ends_the_answer) {
  AlignedBytes own(small_bytes());
  Image damaged;
  ASSERT_EQ(damaged.open(own.span()), Status::ok);
  WiredOptions options = options_of();
  options.node.verify_interval = 1;
  WiredNodes nodes({&damaged, &small_image(), &small_image()}, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
  own.span()[own.span().size() / 2] ^= 1;
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }, 5000));
  ASSERT_EQ(nodes.coordinator().state(), State::failed);
  EXPECT_EQ(nodes.coordinator().failure().status, Status::image_damaged);
  EXPECT_EQ(nodes.coordinator().failure().seat, 0);
  const auto text = nodes.coordinator().text();
  const auto expected = std::span(expected_text(Sampling::penalized)).first(text.size());
  EXPECT_TRUE(std::ranges::equal(text, expected));
}

TEST(CoordinatorFailure, a_chip_that_is_heard_and_gives_nothing_is_left_out_after_a_while) {
  WiredOptions options = options_of();
  WiredNodes nodes(small_image(), 3, options);
  bool is_mute = false;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    const MessageType type = flight.header.type;
    const bool gives = type == MessageType::activation || type == MessageType::candidates ||
                       type == MessageType::barrier;
    if (is_mute && gives && flight.header.source == 2) return {};
    return {0};
  };
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
  is_mute = true;
  const std::uint64_t muted_us = nodes.now_us();
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().sessions() == 2; }));
  EXPECT_LE(nodes.now_us() - muted_us, options.coordinator.stall_us + 10);
  EXPECT_EQ(nodes.coordinator().last_loss().status, Status::cluster_stalled);
  EXPECT_EQ(nodes.coordinator().last_loss().seat, 2);
  is_mute = false;
  expect_answer(nodes);
}

TEST(CoordinatorFailure, chips_that_hear_nothing_end_the_answer_with_an_error_in_time) {
  WiredOptions options = options_of();
  options.weights = {0, 1, 1};
  options.coordinator.works_alone = false;
  WiredNodes nodes(small_image(), 3, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
  nodes.fate = [](const Flight&) { return std::vector<std::uint64_t>{}; };
  const std::uint64_t cut_us = nodes.now_us();
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  EXPECT_EQ(nodes.coordinator().state(), State::failed);
  EXPECT_LE(nodes.now_us() - cut_us, options.coordinator.give_up_us + 2);
  EXPECT_EQ(nodes.coordinator().failure().status, Status::chip_silent);
  EXPECT_NE(nodes.coordinator().failure().seat, 0);
}

TEST(CoordinatorFailure, a_lost_shard_is_taken_over_by_a_chip_with_a_whole_image) {
  const test::Cut cut(small_image(), HeadPolicy::contiguous, {1, 1});
  const OpenImage first(test::shard_bytes(small_image(), cut.info(small_image(), 0)));
  const OpenImage second(test::shard_bytes(small_image(), cut.info(small_image(), 1)));
  for (const bool has_spare : {true, false}) {
    const Image& third = has_spare ? small_image() : second.image();
    WiredOptions options = options_of();
    WiredNodes nodes({&first.image(), &second.image(), &third}, options);
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
    nodes.take_down(1);
    expect_answer(nodes);
    EXPECT_EQ(members_of(nodes), (Tokens{0, 2}));
    EXPECT_EQ(nodes.coordinator().last_loss().seat, 1);
  }
}

TEST(CoordinatorFailure, a_lost_shard_that_nobody_else_holds_ends_the_answer_with_its_name) {
  const test::Cut cut(small_image(), HeadPolicy::contiguous, {1, 1, 1});
  const OpenImage first(test::shard_bytes(small_image(), cut.info(small_image(), 0)));
  const OpenImage second(test::shard_bytes(small_image(), cut.info(small_image(), 1)));
  const OpenImage third(test::shard_bytes(small_image(), cut.info(small_image(), 2)));
  for (const bool returns : {true, false}) {
    WiredOptions options = options_of();
    WiredNodes nodes({&first.image(), &second.image(), &third.image()}, options);
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 13; }));
    nodes.take_down(2);
    nodes.run(10'000);
    EXPECT_EQ(nodes.coordinator().state(), State::forming);
    if (returns) {
      nodes.start_chip(2, 2);
      expect_answer(nodes);
      continue;
    }
    ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
    EXPECT_EQ(nodes.coordinator().state(), State::failed);
    EXPECT_EQ(nodes.coordinator().failure().status, Status::chip_silent);
    EXPECT_EQ(nodes.coordinator().failure().seat, 2);
  }
}

TEST(CoordinatorFailure, what_was_too_large_for_a_shard_does_not_bar_it_from_a_smaller_answer) {
  const test::Cut cut(small_image(), HeadPolicy::contiguous, {1, 1});
  const OpenImage first(test::shard_bytes(small_image(), cut.info(small_image(), 0)));
  const OpenImage second(test::shard_bytes(small_image(), cut.info(small_image(), 1)));
  WiredOptions options = options_of();
  NodeConfig config = options.node;
  config.seats = 2;
  config.seat = 1;
  const RunConfig small_run = {14, 1, kVocabulary};
  options.arena_bytes = {
      100'000, TensorParallelNode::arena_bytes(second.image(), config, small_run, second->held())};
  WiredNodes nodes({&first.image(), &second.image()}, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  EXPECT_EQ(nodes.coordinator().failure().status, Status::arena_too_small);
  EXPECT_EQ(nodes.coordinator().failure().seat, 1);
  ASSERT_EQ(nodes.coordinator().start(prompt(), {small_run, options.sampler, 3}, nodes.now_us()),
            Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  EXPECT_EQ(nodes.coordinator().state(), State::done)
      << status_text(nodes.coordinator().failure().status);
}

}  // namespace
}  // namespace mote
