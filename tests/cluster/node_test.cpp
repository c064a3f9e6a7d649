// SPDX-License-Identifier: Apache-2.0
// What a node sends and takes in a session, frame by frame; sessions are in node_session_test.cpp.
#include "mote/node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "support/chip_answer.hpp"
#include "support/image_factory.hpp"
#include "support/random.hpp"
#include "support/wired_nodes.hpp"

namespace mote {
namespace {

using test::Answer;
using test::Bytes;
using test::Flight;
using test::OpenImage;
using test::Tokens;
using test::WiredNodes;
using test::WiredOptions;

constexpr std::uint32_t kVocabulary = 67;
constexpr std::uint32_t kPrompt = 11;
constexpr std::uint32_t kAnswer = 4;

/// Two layers, two heads, rows that fill no block; more chips than heads have no part of these.
const Image& small_image() {
  static const OpenImage kImage = [] {
    test::ModelSpec spec;
    spec.shape = {90, 101, 2, 2, 1, 24, kVocabulary, 40};
    spec.block = 16;
    return OpenImage(spec);
  }();
  return kImage.image();
}

WiredOptions options_of(std::uint32_t batch = 4) {
  WiredOptions options;
  options.run = {40, batch, kVocabulary};
  options.sampler = test::penalized_sampling();
  return options;
}

const Tokens& prompt() {
  static const Tokens kTokens = test::random_tokens(kVocabulary, kPrompt);
  return kTokens;
}

const Answer& expected() {
  static const Answer kExpected = test::answer_of_one(small_image(), options_of().run, prompt(),
                                                      test::penalized_sampling(), kAnswer);
  return kExpected;
}

/// Runs a session until every chip has drawn the answer, and compares it.
void expect_answer(WiredNodes& nodes, std::uint64_t most_steps = 20'000) {
  const std::size_t tokens = expected().text.size();
  ASSERT_TRUE(nodes.run_until(
      [&] {
        for (std::uint32_t seat = 0; seat < nodes.size(); ++seat) {
          if (nodes.node(seat).text().size() < tokens) return false;
        }
        return true;
      },
      most_steps));
  for (std::uint32_t seat = 0; seat < nodes.size(); ++seat) {
    const auto text = nodes.node(seat).text().first(tokens);
    EXPECT_TRUE(std::ranges::equal(text, expected().text)) << "seat " << seat;
  }
}

bool has_items(const MessageHeader& header) {
  return header.type == MessageType::activation || header.type == MessageType::token ||
         header.type == MessageType::candidates;
}
bool is_of_exchange(const MessageHeader& header) {
  return has_items(header) || header.type == MessageType::barrier;
}

std::uint64_t repeated_bytes(WiredNodes& nodes) {
  std::uint64_t bytes = 0;
  for (std::uint32_t seat = 0; seat < nodes.size(); ++seat) {
    for (std::uint32_t port = 0; port < nodes.node(seat).port_count(); ++port) {
      bytes += nodes.node(seat).counters(port).repeated_bytes;
    }
  }
  return bytes;
}

/// What an exchange is known by: type, exchange, layer, position.
using Named = std::tuple<MessageType, Exchange, std::uint32_t, std::uint32_t>;

void append_pass(std::vector<Named>& all, std::uint32_t position, bool with_logits) {
  const auto activation = [&](Exchange exchange, std::uint32_t layer) {
    all.emplace_back(MessageType::activation, exchange, layer, position);
  };
  activation(Exchange::embed, 0);
  for (std::uint32_t layer = 0; layer < 2; ++layer) {
    if (layer != 0) activation(Exchange::attention_input, layer);
    activation(Exchange::heads, layer);
    activation(Exchange::ffn_input, layer);
    activation(Exchange::hidden, layer);
  }
  if (!with_logits) return;
  activation(Exchange::final_input, 0);
  all.emplace_back(MessageType::candidates, Exchange::embed, 0, position);
}

/// A prompt of 11 tokens in batches of 4, then one token a pass.
std::vector<Named> expected_exchanges() {
  std::vector<Named> all = {{MessageType::token, Exchange::embed, 0, 0}};
  append_pass(all, 0, false);
  append_pass(all, 4, false);
  append_pass(all, 8, true);
  for (std::uint32_t position = kPrompt; position < kPrompt + kAnswer - 1; ++position) {
    append_pass(all, position, true);
  }
  return all;
}

TEST(Node, exchanges_come_in_the_order_of_the_phases_with_numbers_that_rise_by_one) {
  WiredNodes nodes(small_image(), 3, options_of());
  std::map<std::uint32_t, Named> found;
  nodes.on_send = [&](const Flight& flight) {
    const MessageHeader& header = flight.header;
    if (!has_items(header)) return;
    const Named named = {header.type, header.exchange, header.layer, header.position};
    EXPECT_EQ(found.emplace(header.sequence, named).first->second, named) << header.sequence;
    EXPECT_EQ(header.session, 9);
  };
  ASSERT_EQ(nodes.open(9, prompt()), Status::ok);
  expect_answer(nodes);
  const std::vector<Named> exchanges = expected_exchanges();
  ASSERT_GE(found.size(), exchanges.size());
  for (std::uint32_t sequence = 0; sequence < exchanges.size(); ++sequence) {
    ASSERT_TRUE(found.contains(sequence)) << sequence;
    EXPECT_EQ(found[sequence], exchanges[sequence]) << sequence;
  }
}

TEST(Node, every_chip_speaks_in_every_exchange) {
  WiredOptions options = options_of();
  options.weights = {2, 1, 0, 1};
  WiredNodes nodes(small_image(), 4, options);
  std::map<std::uint32_t, std::set<std::uint32_t>> speakers;
  std::map<std::uint32_t, std::set<std::uint32_t>> with_items;
  nodes.on_send = [&](const Flight& flight) {
    if (!is_of_exchange(flight.header)) return;
    speakers[flight.header.sequence].insert(flight.header.source);
    if (has_items(flight.header)) with_items[flight.header.sequence].insert(flight.header.source);
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes);
  for (std::uint32_t sequence = 0; sequence < expected_exchanges().size(); ++sequence) {
    EXPECT_EQ(speakers[sequence], (std::set<std::uint32_t>{0, 1, 2, 3})) << sequence;
    EXPECT_FALSE(with_items[sequence].contains(2)) << "weight 0 computes nothing: " << sequence;
  }
  EXPECT_EQ(with_items[0], std::set<std::uint32_t>{0}) << "the coordinator has the text";
}

TEST(Node, chips_without_a_head_send_barriers_for_the_heads) {
  WiredNodes nodes(small_image(), 5, options_of());
  std::set<std::uint32_t> barriers;
  std::set<std::uint32_t> items;
  nodes.on_send = [&](const Flight& flight) {
    if (flight.header.sequence != 2) return;
    if (flight.header.type == MessageType::barrier) barriers.insert(flight.header.source);
    if (has_items(flight.header)) items.insert(flight.header.source);
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes);
  EXPECT_EQ(items.size(), 2U);
  EXPECT_EQ(barriers.size(), 3U);
}

TEST(Node, counters_count_what_was_sent) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    WiredOptions options = options_of();
    options.node.topology = topology;
    WiredNodes nodes(small_image(), 3, options);
    std::map<std::pair<std::uint32_t, std::uint32_t>, PortCounters> counted;
    nodes.on_send = [&](const Flight& flight) {
      // On a shared medium every frame is seen once for each of the two that hear it.
      if (topology == Topology::broadcast && flight.to.seat == (flight.from.seat + 1) % 3) return;
      PortCounters& port = counted[{flight.from.seat, flight.from.port}];
      ++port.frames;
      port.bytes += flight.frame.size();
      if (has_items(flight.header)) port.payload_bytes += flight.payload.size();
    };
    ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
    expect_answer(nodes);
    for (const auto& [address, port] : counted) {
      const PortCounters& counters = nodes.node(address.first).counters(address.second);
      EXPECT_EQ(counters.frames, port.frames);
      EXPECT_EQ(counters.bytes, port.bytes);
      EXPECT_EQ(counters.payload_bytes, port.payload_bytes);
      EXPECT_EQ(counters.repeated_bytes, 0U);
    }
  }
}

TEST(Node, a_lost_frame_is_asked_for_after_a_while_and_sent_again) {
  WiredNodes nodes(small_image(), 3, options_of());
  std::uint64_t lost_us = 0;
  std::uint64_t asked_us = 0;
  std::uint64_t lost_bytes = 0;
  std::vector<AckEntry> asked;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    const MessageHeader& header = flight.header;
    // All that seat 2 gives to exchange 3, on its only way to seat 1.
    const bool hit = header.source == 2 && header.sequence == 3 && flight.to.seat == 1;
    if (hit && is_of_exchange(header) && asked_us == 0) {
      lost_us = nodes.now_us();
      lost_bytes += flight.payload.size();
      return {};
    }
    if (header.type == MessageType::ack && asked_us == 0 && header.source == 1) {
      asked_us = nodes.now_us();
      std::array<AckEntry, kMaxChips> memory;
      std::span<AckEntry> entries = memory;
      EXPECT_EQ(decode_payload(entries, flight.payload), Status::ok);
      asked.assign(entries.begin(), entries.end());
      EXPECT_EQ(header.sequence, 3);
    }
    return {0};
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes);
  ASSERT_NE(lost_us, 0U);
  EXPECT_GE(asked_us, lost_us + test::kWiredTiming.retry_us - 2);
  EXPECT_LE(asked_us, lost_us + test::kWiredTiming.retry_us + 5);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].source, 2);
  EXPECT_EQ(asked[0].next_item, 0);
  EXPECT_EQ(repeated_bytes(nodes), lost_bytes);
}

TEST(Node, a_gap_is_asked_for_at_once) {
  WiredOptions options = options_of(8);
  options.node.frame_bytes = 250;
  options.node.timing.retry_us = 2000;
  WiredNodes nodes(small_image(), 3, options);
  std::uint64_t lost_us = 0;
  std::uint64_t asked_us = 0;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    const MessageHeader& header = flight.header;
    // The first of several messages.
    const bool hit = header.sequence == 3 && header.first == 0 && flight.to.seat == 1;
    if (hit && has_items(header) && lost_us == 0) {
      lost_us = nodes.now_us();
      return {};
    }
    if (header.type == MessageType::ack && asked_us == 0) asked_us = nodes.now_us();
    return {0};
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes, 1000);
  ASSERT_NE(lost_us, 0U);
  EXPECT_EQ(asked_us, lost_us + 1);
}

TEST(Node, what_is_lost_again_is_asked_for_again) {
  WiredNodes nodes(small_image(), 3, options_of());
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, MessageType>, int> losses;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    // The first three of every kind of message by every wire: acknowledgements too.
    const MessageHeader& header = flight.header;
    int& count = losses[{flight.from.seat, flight.from.port, header.sequence, header.type}];
    return ++count <= 3 ? std::vector<std::uint64_t>{} : std::vector<std::uint64_t>{0};
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes, 200'000);
}

TEST(Node, doubled_and_reordered_frames_change_nothing) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    WiredOptions options = options_of(8);  // three messages a share of two chips
    options.node.topology = topology;
    options.node.frame_bytes = 250;
    WiredNodes nodes(small_image(), topology == Topology::ring ? 2 : 4, options);
    test::Random random(static_cast<std::uint64_t>(topology));
    nodes.fate = [&](const Flight&) {
      return std::vector<std::uint64_t>(1 + random.below(2), random.below(12));
    };
    ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
    expect_answer(nodes, 200'000);
  }
}

TEST(Node, old_frames_change_nothing) {
  WiredNodes nodes(small_image(), 3, options_of());
  std::vector<Flight> heard;
  nodes.on_send = [&](const Flight& flight) { heard.push_back(flight); };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes);
  nodes.node(0).set_text_limit(0);
  nodes.run(300);
  const std::vector<Flight> old = heard;
  const std::uint32_t sequence = nodes.node(1).sequence();
  const std::uint64_t repeated = repeated_bytes(nodes);
  for (const Flight& flight : old) {
    // Acknowledgements of the exchanges under way ask for what is there to be sent.
    if (flight.header.type != MessageType::ack) nodes.put(flight.to, flight.frame);
  }
  nodes.deliver();
  EXPECT_EQ(nodes.node(1).sequence(), sequence);
  EXPECT_EQ(repeated_bytes(nodes), repeated);
  nodes.node(0).set_text_limit(0xffffffffU);
  const std::size_t tokens = nodes.node(1).text().size() + 5;
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() >= tokens; }));
  const Answer longer =
      test::answer_of_one(small_image(), options_of().run, prompt(), test::penalized_sampling(),
                          static_cast<std::uint32_t>(tokens) - kPrompt);
  EXPECT_TRUE(std::ranges::equal(nodes.node(1).text().first(tokens), longer.text));
}

TEST(Node, frames_of_another_session_change_nothing) {
  WiredNodes nodes(small_image(), 3, options_of());
  std::vector<Flight> old;
  nodes.on_send = [&](const Flight& flight) {
    if (is_of_exchange(flight.header)) old.push_back(flight);
  };
  ASSERT_EQ(nodes.open(1, test::random_tokens(kVocabulary, kPrompt, 5)), Status::ok);
  nodes.run(100);
  nodes.on_send = nullptr;
  ASSERT_EQ(nodes.open(2, prompt()), Status::ok);
  for (std::uint32_t i = 0; i < 150; ++i) {
    // Those that would be of the exchanges under way, ahead of the right ones.
    for (const Flight& flight : old) {
      const std::uint32_t sequence = nodes.node(flight.to.seat).sequence();
      if (flight.header.sequence - sequence > 1) continue;
      nodes.node(flight.to.seat).receive(flight.to.port, flight.frame, nodes.now_us());
    }
    nodes.step();
  }
  expect_answer(nodes);
}

TEST(Node, frames_of_the_next_exchange_that_come_early_are_kept) {
  WiredNodes nodes(small_image(), 3, options_of());
  bool was_early = false;
  std::uint64_t acks = 0;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    if (flight.header.type == MessageType::ack) ++acks;
    const bool is_early = flight.to.seat == 1 && has_items(flight.header) &&
                          flight.header.sequence == nodes.node(1).sequence() + 1;
    was_early = was_early || is_early;
    // Before the text is whole nobody can know what the next exchange is.
    const bool is_late =
        flight.to.seat == 1 && flight.from.seat == 2 && flight.header.sequence != 0;
    return {is_late ? 10U : 0U};
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes);
  EXPECT_TRUE(was_early);
  EXPECT_EQ(acks, 0U);
  EXPECT_EQ(repeated_bytes(nodes), 0U);
}

TEST(Node, what_comes_before_the_text_is_whole_is_asked_for_as_soon_as_it_is) {
  WiredOptions options = options_of();
  options.node.timing.retry_us = 2000;
  WiredNodes nodes(small_image(), 3, options);
  bool was_early = false;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    const bool is_text = is_of_exchange(flight.header) && flight.header.sequence == 0;
    const bool is_next = has_items(flight.header) && flight.header.sequence == 1;
    was_early = was_early || (is_next && flight.to.seat == 1 && nodes.node(1).sequence() == 0);
    return {is_text && flight.to.seat == 1 && flight.header.source == 2 ? 10U : 0U};
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes, 1000);
  EXPECT_TRUE(was_early);
}

TEST(Node, an_early_embedding_row_of_a_chip_that_does_not_own_it_is_dropped) {
  WiredNodes nodes(small_image(), 5, options_of());
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  // Seat 1 waits for the candidates of its neighbour, and knows no more of the next exchange than
  // that it carries one row.
  std::uint16_t sequence = 0;
  std::uint64_t due_us = 0;
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    const MessageHeader& header = flight.header;
    const bool is_last = header.type == MessageType::candidates && header.source == 2;
    if (!is_last || flight.to.seat != 1) return {0};
    if (sequence == 0) {
      sequence = header.sequence;
      due_us = nodes.now_us() + 20;
    }
    return {20};
  };
  ASSERT_TRUE(nodes.run_until([&] { return nodes.now_us() + 1 == due_us; }));
  ASSERT_EQ(nodes.node(1).sequence(), sequence);
  ASSERT_EQ(nodes.node(1).missing_seats(), seat_bit(2));
  // With them comes a row of a chip that does not own it, which this one would have to pass on.
  const std::uint32_t owner = nodes.node(1).partition().owner_of_token(expected().text.at(kPrompt));
  MessageHeader header;
  header.type = MessageType::activation;
  header.session = 1;
  header.sequence = static_cast<std::uint16_t>(sequence + 1);
  header.position = kPrompt;
  header.source = static_cast<std::uint8_t>(owner == 0 ? 2 : 0);
  nodes.put({1, owner == 0 ? 0U : 1U}, test::frame_of(header, Bytes(2 + 96, 7)), 1);
  nodes.on_send = [&](const Flight& flight) {
    if (flight.header.sequence != sequence + 1 || !has_items(flight.header)) return;
    EXPECT_EQ(flight.header.source, owner);
  };
  expect_answer(nodes);
}

TEST(Node, no_frame_is_longer_than_the_links_allow) {
  for (const std::uint32_t frame_bytes : {250U, 300U, 512U, 4096U}) {
    WiredOptions options = options_of(8);
    options.node.frame_bytes = frame_bytes;
    WiredNodes nodes(small_image(), 3, options);
    std::size_t longest = 0;
    nodes.on_send = [&](const Flight& flight) {
      longest = std::max<std::size_t>(longest, flight.frame.size());
      if (has_items(flight.header)) return;
      EXPECT_LE(flight.frame.size(), kMinFrameBytes);
    };
    ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
    expect_answer(nodes);
    EXPECT_LE(longest, std::min<std::size_t>(frame_bytes, kMaxFrameBytes));
    EXPECT_GT(longest, frame_bytes == 250 ? 200U : 250U);
  }
}

TEST(Node, noise_is_counted_and_costs_no_more_than_a_frame) {
  WiredNodes nodes(small_image(), 3, options_of());
  test::Random random(3);
  nodes.fate = [&](const Flight& flight) -> std::vector<std::uint64_t> {
    if (random.below(50) == 0) {
      Flight damaged = flight;
      damaged.frame[random.below(damaged.frame.size())] ^= 0x10;
      nodes.put(flight.to, damaged.frame);
      return {};
    }
    return {0};
  };
  ASSERT_EQ(nodes.open(1, prompt()), Status::ok);
  expect_answer(nodes, 100'000);
  EXPECT_GT(nodes.node(0).damaged_frames() + nodes.node(1).damaged_frames(), 0U);
}

TEST(Node, sequence_numbers_and_positions_wrap) {
  test::ModelSpec spec = test::tiny_model();
  spec.shape.n_layers = 1;
  spec.shape.context_length = 12'000;
  spec.attention = {{AttentionKind::sliding_window, 4, 1, {}}};
  const OpenImage image(spec);
  WiredOptions options;
  options.run = {12'000, 1, 5};
  options.sampler = test::penalized_sampling();
  WiredNodes nodes(image.image(), 2, options);
  ASSERT_EQ(nodes.open(1, {1}), Status::ok);
  constexpr std::uint32_t kTokens = 11'500;
  ASSERT_TRUE(nodes.run_until([&] { return nodes.node(1).text().size() >= kTokens; }, 200'000));
  EXPECT_GT(nodes.node(1).sequence(), 65'536U);
  const Answer answer =
      test::answer_of_one(image.image(), options.run, {1}, options.sampler, kTokens - 1);
  EXPECT_TRUE(std::ranges::equal(nodes.node(1).text().first(kTokens), answer.text));
}

}  // namespace
}  // namespace mote
