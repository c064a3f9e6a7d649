// SPDX-License-Identifier: Apache-2.0
// Who takes part in an answer. Failures are in coordinator_failure_test.cpp.
#include "mote/coordinator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "support/chip_answer.hpp"
#include "support/image_factory.hpp"
#include "support/shard_factory.hpp"
#include "support/wired_nodes.hpp"

namespace mote {
namespace {

using test::Answer;
using test::OpenImage;
using test::Tokens;
using test::WiredNodes;
using test::WiredOptions;
using State = Coordinator::State;

constexpr std::uint32_t kVocabulary = 67;
constexpr std::uint32_t kAnswer = 6;

test::ModelSpec small_model(std::uint64_t seed = 1) {
  test::ModelSpec spec;
  spec.shape = {90, 101, 2, 2, 1, 24, kVocabulary, 40};
  spec.block = 16;
  spec.seed = seed;
  return spec;
}

const Image& small_image() {
  static const OpenImage kImage(small_model());
  return kImage.image();
}

WiredOptions options_of() {
  WiredOptions options;
  options.run = {40, 4, kVocabulary};
  options.sampler = test::penalized_sampling();
  return options;
}

const Tokens& prompt() {
  static const Tokens kTokens = test::random_tokens(kVocabulary, 11);
  return kTokens;
}

void expect_text(WiredNodes& nodes, const Tokens& text, std::uint32_t tokens) {
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  ASSERT_EQ(nodes.coordinator().state(), State::done)
      << status_text(nodes.coordinator().failure().status);
  const Answer answer = test::answer_of_one(small_image(), options_of().run, text,
                                            test::penalized_sampling(), tokens);
  EXPECT_TRUE(std::ranges::equal(nodes.coordinator().text(), answer.text));
}

void expect_answer(WiredNodes& nodes) {
  expect_text(nodes, prompt(), kAnswer);
}

Tokens members_of(WiredNodes& nodes) {
  const Ready& ready = nodes.coordinator().ready();
  return {ready.seats.begin(), ready.seats.begin() + ready.members};
}
Tokens weights_of(WiredNodes& nodes) {
  const Ready& ready = nodes.coordinator().ready();
  return {ready.weights.begin(), ready.weights.begin() + ready.members};
}

/// Shards of an even cut of the small model.
std::vector<std::unique_ptr<OpenImage>> shards_of(std::vector<std::uint8_t> weights) {
  const test::Cut cut(small_image(), HeadPolicy::contiguous, weights);
  std::vector<std::unique_ptr<OpenImage>> shards;
  for (std::uint32_t rank = 0; rank < weights.size(); ++rank) {
    shards.push_back(std::make_unique<OpenImage>(
        test::shard_bytes(small_image(), cut.info(small_image(), rank))));
  }
  return shards;
}

TEST(Coordinator, a_session_opens_as_soon_as_all_chips_are_heard) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    WiredOptions options = options_of();
    options.node.topology = topology;
    options.coordinator.forming_us = 20'000;
    WiredNodes nodes(small_image(), 4, options);
    EXPECT_EQ(nodes.coordinator().state(), State::idle);
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    EXPECT_EQ(nodes.coordinator().state(), State::forming);
    nodes.run(10);
    EXPECT_EQ(nodes.coordinator().state(), State::running);
    expect_answer(nodes);
    EXPECT_EQ(members_of(nodes), (Tokens{0, 1, 2, 3}));
    EXPECT_EQ(nodes.coordinator().sessions(), 1U);
    EXPECT_EQ(nodes.coordinator().last_loss().status, Status::ok);
  }
}

TEST(Coordinator, a_session_opens_without_those_that_do_not_come_in_time) {
  WiredOptions options = options_of();
  WiredNodes nodes(small_image(), 4, options);
  nodes.take_down(2);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  nodes.run(options.coordinator.forming_us - 1);
  EXPECT_EQ(nodes.coordinator().state(), State::forming);
  nodes.run(2);
  EXPECT_EQ(nodes.coordinator().state(), State::running);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 1, 3}));
}

TEST(Coordinator, one_chip_answers_alone) {
  WiredNodes nodes(small_image(), 1, options_of());
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
}

TEST(Coordinator, weights_are_those_that_the_chips_say) {
  WiredOptions options = options_of();
  options.weights = {1, 0, 5, 2};
  WiredNodes nodes(small_image(), 4, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(weights_of(nodes), (Tokens{1, 0, 5, 2}));
  const Partition& partition = nodes.node(3).partition();
  EXPECT_EQ(partition.slice(1).vocabulary.count, 0U);
  EXPECT_GT(partition.slice(2).vocabulary.count, 2 * partition.slice(3).vocabulary.count);
}

TEST(Coordinator, a_driver_of_weight_0_works_alone_only_where_it_may) {
  for (const bool works_alone : {true, false}) {
    WiredOptions options = options_of();
    options.weights = {0, 1};
    options.coordinator.works_alone = works_alone;
    WiredNodes nodes(small_image(), 2, options);
    nodes.take_down(1);
    const std::uint64_t begun_us = nodes.now_us();
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    if (works_alone) {
      expect_answer(nodes);
      EXPECT_EQ(weights_of(nodes), Tokens{1});
      continue;
    }
    ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() == State::failed; }));
    EXPECT_GE(nodes.now_us() - begun_us, options.coordinator.give_up_us);
    EXPECT_LE(nodes.now_us() - begun_us, options.coordinator.give_up_us + 2);
    EXPECT_NE(nodes.coordinator().failure().status, Status::ok);
    EXPECT_EQ(nodes.coordinator().sessions(), 0U);
  }
}

TEST(Coordinator, texts_that_leave_no_room_for_a_token_are_refused) {
  WiredNodes nodes(small_image(), 2, options_of());
  EXPECT_EQ(nodes.start({}, 1), Status::context_full);
  EXPECT_EQ(nodes.start(Tokens(41), 1), Status::context_full);
  EXPECT_EQ(nodes.coordinator().state(), State::idle);
  EXPECT_EQ(nodes.start(Tokens(40), 1), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() >= State::done; }));
  EXPECT_EQ(nodes.coordinator().state(), State::done);
  EXPECT_EQ(nodes.coordinator().text().size(), 41U);
  // Within the memory, but beyond what this answer asks for.
  AnswerRequest request = {{12, 4, kVocabulary}, test::penalized_sampling(), 3};
  EXPECT_EQ(nodes.coordinator().start(Tokens(13), request, nodes.now_us()), Status::context_full);
}

TEST(Coordinator, a_full_context_ends_the_answer) {
  WiredNodes nodes(small_image(), 3, options_of());
  ASSERT_EQ(nodes.start(prompt(), 1000), Status::ok);
  expect_text(nodes, prompt(), 30);
}

TEST(Coordinator, an_answer_can_be_stopped_and_another_begun) {
  WiredNodes nodes(small_image(), 3, options_of());
  ASSERT_EQ(nodes.start(prompt(), 30), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().text().size() == 14; }));
  nodes.coordinator().stop();
  EXPECT_EQ(nodes.coordinator().state(), State::done);
  nodes.run(1500);  // longer than a silence: the chips wait, and are heard
  EXPECT_EQ(nodes.coordinator().text().size(), 14U);
  const Tokens other = test::random_tokens(kVocabulary, 5, 99);
  const std::uint64_t begun_us = nodes.now_us();
  ASSERT_EQ(nodes.start(other, kAnswer), Status::ok);
  expect_text(nodes, other, kAnswer);
  EXPECT_EQ(nodes.coordinator().sessions(), 1U);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 1, 2}));
  EXPECT_LT(nodes.now_us() - begun_us, 150U) << "the chips are known already";
}

TEST(Coordinator, many_answers_follow_one_another) {
  WiredNodes nodes(small_image(), 3, options_of());
  for (std::uint32_t i = 0; i < 300; ++i) {  // session numbers wrap
    const Tokens text = test::random_tokens(kVocabulary, 1 + i % 7, i);
    ASSERT_EQ(nodes.start(text, 2), Status::ok);
    expect_text(nodes, text, 2);
    ASSERT_EQ(nodes.coordinator().sessions(), 1U) << i;
    if (HasFailure()) return;
  }
}

TEST(Coordinator, a_chip_with_another_model_is_left_out_and_named) {
  const OpenImage other(small_model(2));
  WiredNodes nodes({&small_image(), &other.image(), &small_image()}, options_of());
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 2}));
  const ErrorMessage& loss = nodes.coordinator().last_loss();
  EXPECT_EQ(loss.status, Status::wrong_model);
  EXPECT_EQ(loss.seat, 1);
  EXPECT_EQ(loss.expected, load<std::uint64_t>(small_image().model_hash(), 0));
  EXPECT_EQ(loss.found, load<std::uint64_t>(other->model_hash(), 0));
}

TEST(Coordinator, a_chip_with_too_little_memory_is_left_out_and_named) {
  WiredOptions options = options_of();
  options.arena_bytes = {100'000, 3000, 100'000};
  WiredNodes nodes(small_image(), 3, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 2}));
  EXPECT_EQ(nodes.coordinator().last_loss().status, Status::arena_too_small);
  EXPECT_EQ(nodes.coordinator().last_loss().seat, 1);
}

TEST(Coordinator, chips_with_shards_take_their_own_ranks) {
  const auto shards = shards_of({1, 2, 1});
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    WiredOptions options = options_of();
    options.node.topology = topology;
    WiredNodes nodes({&shards[0]->image(), &shards[2]->image(), &shards[1]->image()}, options);
    ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
    expect_answer(nodes);
    EXPECT_EQ(members_of(nodes), (Tokens{0, 2, 1}));
    EXPECT_EQ(weights_of(nodes), (Tokens{1, 2, 1}));
  }
}

TEST(Coordinator, a_missing_rank_goes_to_a_chip_with_a_whole_image) {
  const auto shards = shards_of({1, 1, 1});
  WiredNodes nodes({&shards[0]->image(), &small_image(), &shards[2]->image()}, options_of());
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{0, 1, 2}));
}

TEST(Coordinator, a_driver_with_the_whole_image_leaves_the_ranks_to_the_shards) {
  const auto shards = shards_of({1, 1});
  WiredOptions options = options_of();
  options.weights = {0, 1, 1};
  WiredNodes nodes({&small_image(), &shards[1]->image(), &shards[0]->image()}, options);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(members_of(nodes), (Tokens{2, 1, 0}));
  EXPECT_EQ(weights_of(nodes), (Tokens{1, 1, 0}));
}

TEST(Coordinator, no_session_opens_while_a_rank_is_missing) {
  const auto shards = shards_of({1, 1, 1});
  WiredNodes nodes({&shards[0]->image(), &shards[1]->image(), &shards[2]->image()}, options_of());
  nodes.take_down(2);
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  nodes.run(5000);
  EXPECT_EQ(nodes.coordinator().state(), State::forming);
  EXPECT_EQ(nodes.coordinator().sessions(), 0U);
  nodes.start_chip(2, 1);
  expect_answer(nodes);
}

TEST(Coordinator, a_rank_that_never_comes_ends_the_answer_with_an_error) {
  const auto shards = shards_of({1, 1, 1});
  WiredOptions options = options_of();
  // Two chips of the same rank, and none of the last.
  WiredNodes nodes({&shards[0]->image(), &shards[1]->image(), &shards[1]->image()}, options);
  const std::uint64_t begun_us = nodes.now_us();
  ASSERT_EQ(nodes.start(prompt(), kAnswer), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.coordinator().state() == State::failed; }));
  EXPECT_LE(nodes.now_us() - begun_us, options.coordinator.give_up_us + 2);
  EXPECT_EQ(nodes.coordinator().failure().status, Status::not_enough_chips);
}

}  // namespace
}  // namespace mote
