// SPDX-License-Identifier: Apache-2.0
// How a node enters and leaves sessions, refuses, and passes on what concerns others.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "mote/node.hpp"
#include "support/chip_answer.hpp"
#include "support/image_factory.hpp"
#include "support/shard_factory.hpp"
#include "support/wired_nodes.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Answer;
using test::Bytes;
using test::Flight;
using test::OpenImage;
using test::Tokens;
using test::WiredNodes;
using test::WiredOptions;

constexpr std::uint32_t kVocabulary = 67;

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

WiredOptions options_of(std::uint32_t context = 40) {
  WiredOptions options;
  options.run = {context, 4, kVocabulary};
  options.sampler = test::penalized_sampling();
  return options;
}

const Tokens& prompt() {
  static const Tokens kTokens = test::random_tokens(kVocabulary, 11);
  return kTokens;
}

/// The ready message of a session, as it comes from seat 0.
MessageHeader ready_header(std::uint8_t session, std::uint16_t links = 1) {
  MessageHeader header;
  header.type = MessageType::ready;
  header.session = session;
  header.first = links;
  return header;
}

Ready ready_for(const WiredNodes& nodes) {
  Ready ready = nodes.ready();
  ready.tokens = 11;
  return ready;
}

/// The last error that `seat` has said about itself.
std::optional<ErrorMessage> error_of(WiredNodes& nodes, std::uint32_t seat) {
  const SeatRecord& record = nodes.records()[seat];
  return record.has_error ? std::optional(record.error) : std::nullopt;
}

void expect_refusal(WiredNodes& nodes, std::uint32_t seat, Status status) {
  ASSERT_TRUE(nodes.run_until([&] { return error_of(nodes, seat).has_value(); }, 300));
  EXPECT_EQ(error_of(nodes, seat)->status, status);
  EXPECT_EQ(error_of(nodes, seat)->seat, seat);
  EXPECT_EQ(error_of(nodes, seat)->other, 0);
  EXPECT_FALSE(nodes.node(seat).is_in_session());
}

TEST(NodeSession, configurations_out_of_range_are_refused) {
  std::array<SeatRecord, 4> records;
  test::AlignedBytes memory(Bytes(10'000));
  const auto status_of = [&](auto change, std::size_t seats = 0, std::size_t bytes = 10'000) {
    NodeConfig config;
    config.seats = 4;
    config.seat = 1;
    change(config);
    TensorParallelNode node;
    return node.init(small_image(), config, std::as_writable_bytes(memory.span()).first(bytes),
                     std::span(records).first(seats), 0);
  };
  const auto nothing = [](NodeConfig&) {};
  const Status bad = Status::bad_cluster_config;
  EXPECT_EQ(status_of(nothing), Status::ok);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.seats = 0; }), bad);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.seats = 65; }), bad);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.seat = 4; }), bad);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.hub = 4; }), bad);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.coordinator = 4; }), bad);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.topology = Topology(3); }), bad);
  EXPECT_EQ(status_of([](NodeConfig& c) { c.frame_bytes = 249; }), bad);
  EXPECT_EQ(status_of(nothing, 4), bad) << "only the coordinator keeps records";
  EXPECT_EQ(status_of([](NodeConfig& c) { c.coordinator = 1; }), bad) << "and must have them";
  EXPECT_EQ(status_of([](NodeConfig& c) { c.coordinator = 1; }, 4), Status::ok);
  EXPECT_EQ(status_of(nothing, 0, 64), Status::arena_too_small);
}

TEST(NodeSession, a_chip_says_who_it_is_until_a_session_opens) {
  WiredOptions options = options_of();
  options.weights = {1, 2, 3};
  WiredNodes nodes(small_image(), 3, options);
  nodes.run(150);
  for (std::uint32_t seat = 1; seat < 3; ++seat) {
    const SeatRecord& record = nodes.records()[seat];
    ASSERT_TRUE(record.is_known);
    EXPECT_EQ(record.hello.identity, 100 + seat);
    EXPECT_EQ(record.hello.boot, 1U);
    EXPECT_EQ(record.hello.seat, seat);
    EXPECT_EQ(record.hello.weight, 1 + seat);
    EXPECT_EQ(record.hello.chips, 0);
    EXPECT_GT(record.hello.arena_bytes, 1000U);
    EXPECT_TRUE(std::ranges::equal(record.hello.model, small_image().model_hash()));
    EXPECT_TRUE(std::ranges::equal(record.hello.shard, small_image().content_hash()));
  }
  EXPECT_FALSE(nodes.records()[0].is_known);
}

TEST(NodeSession, a_shard_says_which) {
  const test::Cut cut(small_image(), HeadPolicy::round_robin, {1, 1, 1});
  const OpenImage shard(test::shard_bytes(small_image(), cut.info(small_image(), 2)));
  WiredNodes nodes({&small_image(), &shard.image()}, options_of());
  nodes.run(150);
  const Hello& hello = nodes.records()[1].hello;
  EXPECT_EQ(hello.rank, 2);
  EXPECT_EQ(hello.chips, 3);
  EXPECT_TRUE(std::ranges::equal(hello.model, small_image().content_hash()));
  EXPECT_TRUE(std::ranges::equal(hello.shard, shard.image().content_hash()));
}

TEST(NodeSession, another_model_is_refused_with_both_hashes) {
  const OpenImage other(small_model(2));
  WiredNodes nodes({&small_image(), &other.image(), &small_image()}, options_of());
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_refusal(nodes, 1, Status::wrong_model);
  const ErrorMessage error = error_of(nodes, 1).value();
  EXPECT_EQ(error.expected, load<std::uint64_t>(small_image().model_hash(), 0));
  EXPECT_EQ(error.found, load<std::uint64_t>(other->model_hash(), 0));
  EXPECT_TRUE(nodes.node(2).is_in_session());
}

TEST(NodeSession, too_little_memory_is_refused) {
  WiredOptions options = options_of();
  const NodeConfig config = [&] {
    NodeConfig two = options.node;
    two.seats = 2;
    two.seat = 1;
    return two;
  }();
  const test::Cut cut(small_image(), HeadPolicy::contiguous, {1, 1});
  const std::size_t enough =
      TensorParallelNode::arena_bytes(small_image(), config, options.run, cut.partition.slice(1));
  for (const bool is_enough : {true, false}) {
    options.arena_bytes = {100'000, is_enough ? enough : enough - 16};
    WiredNodes nodes(small_image(), 2, options);
    ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
    if (!is_enough) {
      expect_refusal(nodes, 1, Status::arena_too_small);
    } else {
      EXPECT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() > 14; }, 1000));
    }
  }
}

TEST(NodeSession, a_shard_of_another_rank_or_cut_is_refused) {
  const test::Cut cut(small_image(), HeadPolicy::contiguous, {1, 1, 1});
  const test::Cut uneven(small_image(), HeadPolicy::contiguous, {1, 9, 1});
  for (const auto& [from, rank] : {std::pair{&cut, 2U}, std::pair{&uneven, 0U}}) {
    const OpenImage shard(test::shard_bytes(small_image(), from->info(small_image(), rank)));
    WiredOptions options = options_of();
    options.arena_bytes = {100'000, 100'000, 100'000};
    WiredNodes nodes({&small_image(), &shard.image(), &small_image()}, options);
    ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
    expect_refusal(nodes, 1, Status::wrong_shard);
  }
}

TEST(NodeSession, the_coordinators_chip_refuses_in_words_of_its_own) {
  WiredNodes nodes(small_image(), 2, options_of());
  Ready ready = ready_for(nodes);
  TensorParallelNode& node = nodes.node(0);
  const auto status_of = [&](auto change, const Tokens& text = prompt()) {
    Ready changed = ready;
    change(changed);
    return node.open_session(1, changed, text, nodes.now_us());
  };
  EXPECT_EQ(status_of([](Ready& r) { r.model[7] ^= 1; }), Status::wrong_model);
  EXPECT_EQ(status_of([](Ready& r) { r.run.context_length = 41; }), Status::bad_run_config);
  EXPECT_EQ(status_of([](Ready& r) { r.run.batch = 65; }), Status::bad_run_config);
  EXPECT_EQ(status_of([](Ready& r) { r.run.candidates = 68; }), Status::bad_run_config);
  EXPECT_EQ(status_of([](Ready& r) { r.tokens = 41; }, Tokens(41)), Status::context_full);
  EXPECT_EQ(status_of([](Ready& r) { r.tokens = 0; }, {}), Status::context_full);
  EXPECT_EQ(status_of([](Ready& r) { r.seats[1] = 2; }), Status::bad_cluster_config);
  EXPECT_EQ(status_of([](Ready& r) { r.seats[0] = 1, r.members = 1; }), Status::bad_cluster_config);
  EXPECT_EQ(status_of([](Ready& r) { r.weights = {}; }), Status::bad_partition);
  EXPECT_EQ(status_of([](Ready& r) { r.sampler.top_k = 0; }), Status::bad_sampler_config);
  EXPECT_FALSE(node.is_in_session());
  EXPECT_EQ(status_of([](Ready&) {}), Status::ok);
  EXPECT_TRUE(node.is_in_session());
}

TEST(NodeSession, more_items_than_have_numbers_are_refused) {
  // 4096 blocks of 16 rows: two positions are 8192 items, one more than an item can be called.
  test::ModelSpec spec = test::tiny_model();
  spec.shape.hidden_dim = 65'536;
  spec.shape.n_layers = 1;
  const OpenImage image(spec);
  WiredOptions options;
  options.run = {6, 2, 5};
  WiredNodes nodes(image.image(), 1, options);
  Ready ready = nodes.ready();
  ready.tokens = 1;
  const Tokens text = {1};
  EXPECT_EQ(nodes.node(0).open_session(1, ready, text, 0), Status::bad_run_config);
  ready.run.batch = 1;
  EXPECT_EQ(nodes.node(0).open_session(1, ready, text, 0), Status::ok);
}

TEST(NodeSession, tokens_that_are_none_end_the_session) {
  WiredNodes nodes(small_image(), 3, options_of());
  Tokens text = prompt();
  text[5] = kVocabulary;
  ASSERT_EQ(nodes.open(1, text), Status::ok);
  expect_refusal(nodes, 1, Status::token_out_of_range);
  EXPECT_FALSE(nodes.node(0).is_in_session());
}

TEST(NodeSession, a_repeated_ready_changes_nothing) {
  WiredNodes nodes(small_image(), 3, options_of());
  Bytes ready;
  nodes.on_send = [&](const Flight& flight) {
    if (flight.header.type == MessageType::ready) ready = flight.payload;
  };
  ASSERT_EQ(nodes.open(5, prompt()), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() == 13; }));
  ASSERT_EQ(ready.size(), kReadyBytes + 6);
  const std::uint32_t sequence = nodes.node(1).sequence();
  nodes.put({1, 1}, ready_header(5), ready);
  nodes.deliver();
  EXPECT_EQ(nodes.node(1).sequence(), sequence);
  EXPECT_EQ(nodes.node(1).text().size(), 13U);
}

TEST(NodeSession, an_older_ready_that_comes_late_changes_nothing) {
  WiredNodes nodes(small_image(), 3, options_of());
  const Bytes old = test::encoded_payload(ready_for(nodes));
  ASSERT_EQ(nodes.open(5, prompt()), Status::ok);
  nodes.run(5);
  ASSERT_EQ(nodes.open(6, prompt()), Status::ok);
  nodes.run(10);
  ASSERT_EQ(nodes.node(1).session(), 6);
  nodes.put({1, 1}, ready_header(5), old);
  nodes.deliver();
  EXPECT_TRUE(nodes.node(1).is_in_session());
  EXPECT_EQ(nodes.node(1).session(), 6);
}

TEST(NodeSession, a_ready_of_a_coordinator_that_started_anew_opens_a_session) {
  WiredNodes nodes(small_image(), 3, options_of());
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() == 13; }));
  Ready ready = ready_for(nodes);
  ready.boot = 2;
  nodes.put({1, 1}, ready_header(1), test::encoded_payload(ready));
  nodes.deliver();
  EXPECT_TRUE(nodes.node(1).is_in_session());
  EXPECT_EQ(nodes.node(1).sequence(), 0U);
}

TEST(NodeSession, only_the_coordinator_opens_sessions) {
  WiredNodes nodes(small_image(), 3, options_of());
  MessageHeader header = ready_header(1);
  header.source = 2;
  nodes.put({1, 1}, header, test::encoded_payload(ready_for(nodes)));
  nodes.deliver();
  EXPECT_FALSE(nodes.node(1).is_in_session());
}

TEST(NodeSession, a_chip_that_is_no_member_stands_by) {
  WiredNodes nodes(small_image(), 3, options_of());
  nodes.run(5);
  Ready ready = ready_for(nodes);
  ready.members = 2;
  ready.seats = {0, 1};
  ASSERT_EQ(nodes.node(0).open_session(1, ready, prompt(), nodes.now_us()), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() == 15; }, 2000));
  EXPECT_FALSE(nodes.node(2).is_in_session());
  EXPECT_EQ(nodes.node(2).failure(), Status::ok);
  EXPECT_FALSE(error_of(nodes, 2).has_value());
}

TEST(NodeSession, a_chip_that_hears_no_coordinator_leaves_and_says_hello) {
  WiredNodes nodes(small_image(), 3, options_of());
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() == 13; }));
  nodes.take_down(0);
  std::uint64_t hellos = 0;
  nodes.on_send = [&](const Flight& flight) {
    if (flight.header.type == MessageType::hello) ++hellos;
  };
  nodes.run(test::kWiredTiming.silence_us - 10);
  EXPECT_TRUE(nodes.node(1).is_in_session());
  EXPECT_EQ(hellos, 0U);
  nodes.run(20);
  EXPECT_FALSE(nodes.node(1).is_in_session());
  EXPECT_FALSE(nodes.node(2).is_in_session());
  nodes.run(test::kWiredTiming.heartbeat_us);
  EXPECT_GT(hellos, 0U);
  // The coordinator returns with a new answer, whose session happens to have the same number.
  nodes.start_chip(0, 2);
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  EXPECT_TRUE(nodes.run_until([&] { return nodes.node(2).text().size() == 15; }, 2000));
}

TEST(NodeSession, what_concerns_others_is_passed_on_as_often_as_it_may) {
  WiredNodes nodes(small_image(), 6, options_of());
  nodes.run(300);  // all have said hello
  for (const std::uint16_t links : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{4}}) {
    std::vector<std::uint32_t> passed;  // seats that passed it on
    nodes.on_send = [&](const Flight& flight) {
      if (flight.header.type != MessageType::error) return;
      EXPECT_EQ(flight.header.first, links - 1 - passed.size());
      EXPECT_EQ(flight.from.port, 0U) << "away from where it came";
      passed.push_back(flight.from.seat);
    };
    MessageHeader header;
    header.type = MessageType::error;
    header.source = 1;
    header.first = links;
    const ErrorMessage error = {Status::image_damaged, 1, 0, 0, 0};
    nodes.put({2, 1}, header, test::encoded_payload(error));
    nodes.deliver();
    nodes.run(20);
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 1; i < links; ++i) expected.push_back(1 + i);
    EXPECT_EQ(passed, expected);
  }
}

TEST(NodeSession, what_is_said_to_all_reaches_the_coordinator_and_ends) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    WiredOptions options = options_of();
    options.node.topology = topology;
    options.node.hub = 2;
    options.node.coordinator = 3;
    WiredNodes nodes(small_image(), 9, options);
    std::uint64_t control = 0;
    nodes.on_send = [&](const Flight&) { ++control; };
    nodes.run(10 * test::kWiredTiming.heartbeat_us);
    for (std::uint32_t seat = 0; seat < 9; ++seat) {
      EXPECT_EQ(nodes.records()[seat].is_known, seat != 3) << seat;
    }
    // Ten heartbeats of nine chips, up to a quarter early, each over every link both ways at most.
    EXPECT_LE(control, 14U * 9 * 18);
  }
}

TEST(NodeSession, a_damaged_image_is_found_before_a_token_is_drawn_from_it) {
  const Bytes bytes = test::make_image(small_model());
  AlignedBytes own(bytes);
  Image damaged;
  ASSERT_EQ(damaged.open(own.span()), Status::ok);
  WiredOptions options = options_of();
  options.node.verify_interval = 1;
  WiredNodes nodes({&small_image(), &small_image(), &damaged}, options);
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(0).text().size() == 15; }, 2000));
  const Tokens before(nodes.node(0).text().begin(), nodes.node(0).text().end());
  Section section;
  ASSERT_TRUE(damaged.find(section, SectionKind::w_up, 2));
  own.span()[section.offset + section.bytes / 2] ^= 0x40;
  nodes.run(100);
  const Answer answer =
      test::answer_of_one(small_image(), options.run, prompt(), options.sampler,
                          static_cast<std::uint32_t>(nodes.node(0).text().size()) - 11);
  EXPECT_TRUE(std::ranges::equal(nodes.node(0).text(), answer.text));
  EXPECT_LE(nodes.node(0).text().size(), before.size() + 1);
  EXPECT_EQ(nodes.node(2).failure(), Status::image_damaged);
  expect_refusal(nodes, 2, Status::image_damaged);
  nodes.records()[2].has_error = false;
  ASSERT_EQ(nodes.open(2, prompt()), Status::ok);
  expect_refusal(nodes, 2, Status::image_damaged);
}

TEST(NodeSession, no_pass_begins_beyond_the_text_limit_until_it_is_raised) {
  WiredNodes nodes(small_image(), 3, options_of());
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  nodes.node(0).set_text_limit(14);
  nodes.run(500);
  for (std::uint32_t seat = 0; seat < 3; ++seat) {
    EXPECT_EQ(nodes.node(seat).text().size(), 14U);
    EXPECT_TRUE(nodes.node(seat).is_in_session());
  }
  EXPECT_FALSE(nodes.node(0).has_work());
  EXPECT_EQ(nodes.node(1).missing_seats(), seat_bit(0));
  nodes.node(0).set_text_limit(17);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(2).text().size() == 17; }, 1000));
  const Answer answer =
      test::answer_of_one(small_image(), options_of().run, prompt(), options_of().sampler, 6);
  EXPECT_TRUE(std::ranges::equal(nodes.node(2).text(), answer.text));
}

TEST(NodeSession, frames_come_and_go_while_a_chip_computes) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    WiredOptions options = options_of();
    options.node.topology = topology;
    WiredNodes nodes(small_image(), 5, options);
    std::uint64_t told = 0;
    nodes.meanwhile = [&] {
      nodes.transmit();
      nodes.deliver();
      for (std::uint32_t seat = 0; seat < 5; ++seat) nodes.node(seat).tick(nodes.now_us());
      ++told;
    };
    ASSERT_EQ(nodes.start(prompt(), 6), Status::ok);
    ASSERT_TRUE(
        nodes.run_until([&] { return nodes.coordinator().state() >= Coordinator::State::done; }));
    const Answer answer =
        test::answer_of_one(small_image(), options.run, prompt(), options.sampler, 6);
    EXPECT_TRUE(std::ranges::equal(nodes.coordinator().text(), answer.text));
    EXPECT_GT(told, 100U);
  }
}

TEST(NodeSession, a_full_context_ends_the_text_one_token_after_it) {
  WiredNodes nodes(small_image(), 3, options_of(16));
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).is_full() && nodes.node(0).is_full(); }));
  nodes.run(500);
  for (std::uint32_t seat = 0; seat < 3; ++seat) {
    EXPECT_TRUE(nodes.node(seat).is_full());
    EXPECT_FALSE(nodes.node(seat).has_work());
    EXPECT_FALSE(nodes.node(seat).is_waiting());
  }
  const Answer answer =
      test::answer_of_one(small_image(), options_of(16).run, prompt(), options_of().sampler, 6);
  EXPECT_TRUE(std::ranges::equal(nodes.node(0).text(), answer.text));
}

}  // namespace
}  // namespace mote
