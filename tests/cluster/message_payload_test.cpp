// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "mote/frame.hpp"
#include "mote/message.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();

/// Encodes into a buffer of exactly `bytes`.
template <typename Message>
Bytes encoded(const Message& message, std::size_t bytes) {
  Bytes out(bytes);
  EXPECT_EQ(encode_payload(out, message), bytes);
  return out;
}
Bytes encoded(const Hello& hello) {
  return encoded(hello, kHelloBytes);
}
Bytes encoded(const Ready& ready) {
  return encoded(ready, kReadyBytes + 2 * std::size_t{ready.members});
}
Bytes encoded(const ErrorMessage& error) {
  return encoded(error, kErrorBytes);
}
Bytes encoded(const SeatAssignment& seat) {
  return encoded(seat, kSeatAssignmentBytes);
}
Bytes encoded(const std::vector<AckEntry>& entries) {
  return encoded(std::span<const AckEntry>(entries), kAckEntryBytes * entries.size());
}

template <typename Message>
Status decode_status(const Bytes& payload) {
  Message message;
  return decode_payload(message, payload);
}

/// Room for one entry more than there are chips, so that it is the seats that bound their number.
template <>
Status decode_status<AckEntry>(const Bytes& payload) {
  std::array<AckEntry, kMaxChips + 1> memory;
  std::span<AckEntry> entries(memory);
  return decode_payload(entries, payload);
}

/// Every beginning, and what is one byte longer, is refused.
template <typename Message>
void expect_exact_length(Bytes payload) {
  ASSERT_EQ(decode_status<Message>(payload), Status::ok);
  payload.push_back(0);
  EXPECT_EQ(decode_status<Message>(payload), Status::message_malformed);
  for (payload.pop_back(); !payload.empty();) {
    payload.pop_back();
    EXPECT_EQ(decode_status<Message>(payload), Status::message_malformed) << payload.size();
  }
}

/// Which values of one byte are accepted.
template <typename Message, typename IsValid>
void expect_byte(Bytes payload, std::size_t offset, IsValid is_valid) {
  for (std::uint32_t value = 0; value < 256; ++value) {
    payload[offset] = static_cast<std::uint8_t>(value);
    EXPECT_EQ(decode_status<Message>(payload),
              is_valid(value) ? Status::ok : Status::message_malformed)
        << offset << " " << value;
  }
}

/// Which values of four bytes are accepted.
template <typename Message>
void expect_u32(Bytes payload, std::size_t offset, std::uint32_t low, std::uint32_t high) {
  for (const std::uint32_t value : {0U, low - 1, low, high, high + 1, kMax32}) {
    for (std::size_t i = 0; i < 4; ++i) {
      payload[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
    EXPECT_EQ(decode_status<Message>(payload),
              low <= value && value <= high ? Status::ok : Status::message_malformed)
        << offset << " " << value;
  }
}

/// Payloads with any of their bytes random decode to what they encode, or not at all.
template <typename Message>
void expect_canonical(const Bytes& payload) {
  test::Random random(1);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = payload;
    for (std::uint64_t count = 1 + random.below(8); count > 0; --count) {
      bytes[random.below(bytes.size())] = static_cast<std::uint8_t>(random.next());
    }
    Message message;
    if (decode_payload(message, bytes) != Status::ok) continue;
    ASSERT_EQ(encoded(message), bytes);
  }
}

Bytes counting(std::size_t count, std::uint8_t first) {
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = first++;
  return bytes;
}

Hello some_hello() {
  Hello hello;
  hello.identity = 0x0706050403020100;
  hello.boot = 0x0b0a0908;
  hello.arena_bytes = 0x0f0e0d0c;
  hello.seat = 0x10;
  hello.rank = 0x11;
  hello.chips = 0x12;
  hello.weight = 0x13;
  std::ranges::copy(counting(32, 0x14), hello.model.begin());
  std::ranges::copy(counting(32, 0x34), hello.shard.begin());
  return hello;
}

Ready some_ready(std::uint8_t members) {
  Ready ready;
  ready.model = {0, 1, 2, 3, 4, 5, 6, 7};
  ready.sampler.seed = 0x0f0e0d0c0b0a0908;
  ready.sampler.temperature_q16 = 0x13121110;
  ready.sampler.top_k = 0x17161514;
  ready.sampler.top_p_q16 = 0x1b1a1918;
  ready.sampler.min_p_q16 = 0x1f1e1d1c;
  ready.sampler.repeat_penalty_q16 = 0x23222120;
  ready.run.context_length = 0x2524;
  ready.run.candidates = 0x0a2928;
  ready.tokens = 0x2f2e2d2c;
  ready.drawn = 0x2f2e2d2b;
  ready.boot = 0x37363534;
  ready.run.batch = 0x38;
  ready.sampler.repeat_window = 0x39;
  ready.policy = HeadPolicy::round_robin;
  ready.members = members;
  for (std::uint8_t rank = 0; rank < members; ++rank) {
    ready.seats[rank] = static_cast<std::uint8_t>(63 - rank);
    ready.weights[rank] = static_cast<std::uint8_t>(100 + rank);
  }
  return ready;
}

ErrorMessage some_error() {
  return {Status::wrong_shard, 1, 2, 0x0a09080706050403, 0x1211100f0e0d0c0b};
}

std::vector<AckEntry> entries_of(std::uint32_t count) {
  std::vector<AckEntry> entries(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    entries[i] = {static_cast<std::uint8_t>(63 - i), static_cast<std::uint16_t>(8192 - 130 * i)};
  }
  return entries;
}

TEST(Payload, hello_has_its_layout) {
  EXPECT_EQ(encoded(some_hello()), counting(kHelloBytes, 0));
}

TEST(Payload, hello_round_trip_at_the_extremes) {
  for (const bool is_high : {false, true}) {
    Hello hello;
    hello.identity = is_high ? kMax64 : 0;
    hello.boot = is_high ? kMax32 : 0;
    hello.arena_bytes = is_high ? kMax32 : 0;
    hello.seat = is_high ? 63 : 0;
    hello.rank = is_high ? 63 : 0;
    hello.chips = is_high ? 64 : 0;
    hello.weight = is_high ? 255 : 0;
    hello.model.fill(is_high ? 0xff : 0);
    hello.shard.fill(is_high ? 0xff : 0);
    Hello found;
    ASSERT_EQ(decode_payload(found, encoded(hello)), Status::ok);
    EXPECT_EQ(found.identity, hello.identity);
    EXPECT_EQ(found.boot, hello.boot);
    EXPECT_EQ(found.arena_bytes, hello.arena_bytes);
    EXPECT_EQ(found.seat, hello.seat);
    EXPECT_EQ(found.rank, hello.rank);
    EXPECT_EQ(found.chips, hello.chips);
    EXPECT_EQ(found.weight, hello.weight);
    EXPECT_EQ(found.model, hello.model);
    EXPECT_EQ(found.shard, hello.shard);
  }
}

TEST(Payload, hello_refuses_what_is_out_of_range) {
  const Bytes payload = encoded(some_hello());
  expect_exact_length<Hello>(payload);
  expect_byte<Hello>(payload, 16, [](std::uint32_t seat) { return seat < 64; });
  expect_byte<Hello>(payload, 17, [](std::uint32_t rank) { return rank < 0x12; });
  expect_byte<Hello>(payload, 18, [](std::uint32_t chips) { return 0x11 < chips && chips <= 64; });
  expect_byte<Hello>(payload, 19, [](std::uint32_t) { return true; });
  Bytes whole = payload;
  whole[18] = 0;  // a whole image has no rank
  expect_byte<Hello>(whole, 17, [](std::uint32_t rank) { return rank == 0; });
  expect_canonical<Hello>(payload);
}

TEST(Payload, ready_has_its_layout) {
  Bytes expected = counting(kReadyBytes, 0);
  std::ranges::copy(Bytes{0x24, 0x25, 0, 0, 0x28, 0x29, 0x0a, 0}, &expected[0x24]);
  std::ranges::copy(Bytes{0x2b, 0x2d, 0x2e, 0x2f}, &expected[0x30]);
  std::ranges::copy(Bytes{0x38, 0x39, 1, 2}, &expected[0x38]);
  expected.insert(expected.end(), {63, 62, 100, 101});
  EXPECT_EQ(encoded(some_ready(2)), expected);
}

void expect_equal(const Ready& a, const Ready& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.run.context_length, b.run.context_length);
  EXPECT_EQ(a.run.batch, b.run.batch);
  EXPECT_EQ(a.run.candidates, b.run.candidates);
  EXPECT_EQ(a.policy, b.policy);
  EXPECT_EQ(a.sampler.temperature_q16, b.sampler.temperature_q16);
  EXPECT_EQ(a.sampler.top_k, b.sampler.top_k);
  EXPECT_EQ(a.sampler.top_p_q16, b.sampler.top_p_q16);
  EXPECT_EQ(a.sampler.min_p_q16, b.sampler.min_p_q16);
  EXPECT_EQ(a.sampler.repeat_penalty_q16, b.sampler.repeat_penalty_q16);
  EXPECT_EQ(a.sampler.repeat_window, b.sampler.repeat_window);
  EXPECT_EQ(a.sampler.seed, b.sampler.seed);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.drawn, b.drawn);
  EXPECT_EQ(a.boot, b.boot);
  EXPECT_EQ(a.members, b.members);
  EXPECT_EQ(a.seats, b.seats);
  EXPECT_EQ(a.weights, b.weights);
}

TEST(Payload, ready_round_trip) {
  for (std::uint8_t members = 1; members <= kMaxChips; ++members) {
    const Ready ready = some_ready(members);
    Ready found = some_ready(64);  // what it held before does not remain behind the members
    ASSERT_EQ(decode_payload(found, encoded(ready)), Status::ok);
    expect_equal(found, ready);
  }
}

TEST(Payload, ready_round_trip_at_the_extremes) {
  Ready low;
  low.run = {1, 1, 1};
  low.sampler = {0, 0, 0, 0, 0, 0, 0};
  low.members = 1;
  low.weights[0] = 1;
  Ready high = some_ready(64);
  high.model.fill(0xff);
  high.run = {kMaxContext, kMaxBatch, kMaxVocabulary};
  high.sampler = {kMax32, kMax32, kMax32, kMax32, kMax32, 0xff, kMax64};
  high.tokens = kMax32;
  high.drawn = kMax32;
  high.boot = kMax32;
  high.weights.fill(0xff);
  for (const Ready& ready : {low, high}) {
    Ready found;
    ASSERT_EQ(decode_payload(found, encoded(ready)), Status::ok);
    expect_equal(found, ready);
  }
}

TEST(Payload, ready_refuses_what_is_out_of_range) {
  const Bytes payload = encoded(some_ready(3));
  expect_exact_length<Ready>(payload);
  expect_exact_length<Ready>(encoded(some_ready(64)));
  expect_u32<Ready>(payload, 36, 1, kMaxContext);
  expect_u32<Ready>(payload, 40, 1, kMaxVocabulary);
  expect_u32<Ready>(payload, 44, 0x2f2e2d2b, kMax32);  // tokens, at least as many as drawn
  expect_u32<Ready>(payload, 48, 0, 0x2f2e2d2c);       // drawn
  expect_byte<Ready>(payload, 56, [](std::uint32_t batch) { return 1 <= batch && batch <= 64; });
  expect_byte<Ready>(payload, 57, [](std::uint32_t) { return true; });
  expect_byte<Ready>(payload, 58, [](std::uint32_t policy) { return policy < 2; });
  expect_byte<Ready>(payload, 59, [](std::uint32_t members) { return members == 3; });
  expect_canonical<Ready>(payload);
}

TEST(Payload, ready_refuses_wrong_numbers_of_members) {
  for (const std::size_t members : {std::size_t{0}, std::size_t{65}, std::size_t{255}}) {
    Bytes payload = encoded(some_ready(64));
    payload.resize(kReadyBytes + 2 * members, 1);
    payload[59] = static_cast<std::uint8_t>(members);
    EXPECT_EQ(decode_status<Ready>(payload), Status::message_malformed) << members;
    payload.resize(kReadyBytes + 2 * std::size_t{kMaxChips}, 1);
    EXPECT_EQ(decode_status<Ready>(payload), Status::message_malformed) << members;
  }
}

TEST(Payload, ready_refuses_wrong_seats_and_weights) {
  Bytes payload = encoded(some_ready(3));
  expect_byte<Ready>(payload, 61,
                     [](std::uint32_t seat) { return seat < 64 && seat != 63 && seat != 61; });
  payload[63] = 0;
  payload[64] = 0;
  expect_byte<Ready>(payload, 65, [](std::uint32_t weight) { return weight != 0; });
}

TEST(Payload, error_has_its_layout_and_ranges) {
  Bytes payload = counting(kErrorBytes, 0);
  payload[0] = static_cast<std::uint8_t>(Status::wrong_shard);
  EXPECT_EQ(encoded(some_error()), payload);
  expect_exact_length<ErrorMessage>(payload);
  // A later library may know more reasons.
  expect_byte<ErrorMessage>(payload, 0, [](std::uint32_t status) { return status != 0; });
  expect_byte<ErrorMessage>(payload, 1, [](std::uint32_t seat) { return seat < 64; });
  expect_byte<ErrorMessage>(payload, 2, [](std::uint32_t seat) { return seat < 64; });
  expect_canonical<ErrorMessage>(payload);
}

TEST(Payload, error_round_trip_at_the_extremes) {
  for (const ErrorMessage& error :
       {ErrorMessage{static_cast<Status>(1), 0, 0, 0, 0},
        ErrorMessage{static_cast<Status>(255), 63, 63, kMax64, kMax64}, some_error()}) {
    ErrorMessage found;
    ASSERT_EQ(decode_payload(found, encoded(error)), Status::ok);
    EXPECT_EQ(found.status, error.status);
    EXPECT_EQ(found.seat, error.seat);
    EXPECT_EQ(found.other, error.other);
    EXPECT_EQ(found.expected, error.expected);
    EXPECT_EQ(found.found, error.found);
  }
}

TEST(Payload, seat_has_its_layout_and_ranges) {
  const SeatAssignment seat = {5, 4, 3, 2, Topology::star, 0x1234};
  const Bytes payload = encoded(seat);
  EXPECT_EQ(payload, (Bytes{5, 4, 3, 2, 1, 0x34, 0x12}));
  expect_exact_length<SeatAssignment>(payload);
  expect_byte<SeatAssignment>(payload, 0,
                              [](std::uint32_t seats) { return 5 <= seats && seats <= 64; });
  for (const std::size_t offset : {1U, 2U, 3U}) {
    expect_byte<SeatAssignment>(payload, offset, [](std::uint32_t at) { return at < 5; });
  }
  expect_byte<SeatAssignment>(payload, 4, [](std::uint32_t topology) { return topology < 3; });
  Bytes small = payload;
  small[6] = 0;
  expect_byte<SeatAssignment>(small, 5, [](std::uint32_t bytes) { return bytes >= 250; });
  expect_canonical<SeatAssignment>(payload);
}

TEST(Payload, seat_round_trip_at_the_extremes) {
  const SeatAssignment low = {1, 0, 0, 0, Topology::ring, 250};
  const SeatAssignment high = {64, 63, 63, 63, Topology::broadcast, 0xffff};
  for (const SeatAssignment& seat : {low, high}) {
    SeatAssignment found;
    ASSERT_EQ(decode_payload(found, encoded(seat)), Status::ok);
    EXPECT_EQ(encoded(found), encoded(seat));
    EXPECT_EQ(found.topology, seat.topology);
    EXPECT_EQ(found.frame_bytes, seat.frame_bytes);
  }
}

TEST(Payload, ack_has_its_layout) {
  const std::vector<AckEntry> entries = {{5, 0x1234}, {0, kMaxItem + 1}};
  EXPECT_EQ(encoded(entries), (Bytes{5, 0x34, 0x12, 0, 0x00, 0x20}));
}

TEST(Payload, ack_round_trip_of_every_length) {
  for (std::uint32_t count = 0; count <= kMaxChips; ++count) {
    const std::vector<AckEntry> entries = entries_of(count);
    std::array<AckEntry, kMaxChips> memory;
    std::span<AckEntry> found(memory);
    ASSERT_EQ(decode_payload(found, encoded(entries)), Status::ok);
    ASSERT_EQ(found.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) {
      EXPECT_EQ(found[i].source, entries[i].source);
      EXPECT_EQ(found[i].next_item, entries[i].next_item);
    }
  }
}

TEST(Payload, ack_refuses_what_is_out_of_range) {
  const Bytes payload = encoded({{5, 9}, {6, 0x2000}, {7, 0}});
  for (std::size_t size = 0; size <= payload.size(); ++size) {
    const Bytes part(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(decode_status<AckEntry>(part),
              size % kAckEntryBytes == 0 ? Status::ok : Status::message_malformed);
  }
  expect_byte<AckEntry>(payload, 3, [](std::uint32_t seat) {
    return seat < 64 && seat != 5 && seat != 7;  // each at most once
  });
  expect_byte<AckEntry>(payload, 5, [](std::uint32_t high) { return high <= 0x20; });
  expect_byte<AckEntry>(payload, 4, [](std::uint32_t low) { return low == 0; });
  Bytes many = encoded(entries_of(64));
  many.insert(many.end(), {64, 0, 0});
  EXPECT_EQ(decode_status<AckEntry>(many), Status::message_malformed);
}

TEST(Payload, ack_refuses_more_than_there_is_room_for) {
  std::array<AckEntry, 2> memory;
  std::span<AckEntry> entries(memory);
  EXPECT_EQ(decode_payload(entries, encoded(entries_of(3))), Status::message_malformed);
  EXPECT_EQ(entries.size(), 2U);
  EXPECT_EQ(decode_payload(entries, encoded(entries_of(2))), Status::ok);
}

TEST(Payload, what_is_refused_leaves_the_message_alone) {
  Hello hello = some_hello();
  Bytes payload = encoded(Hello{});
  payload[16] = 64;
  EXPECT_EQ(decode_payload(hello, payload), Status::message_malformed);
  EXPECT_EQ(encoded(hello), encoded(some_hello()));
  Ready ready = some_ready(2);
  payload = encoded(some_ready(5));
  payload[58] = 2;
  EXPECT_EQ(decode_payload(ready, payload), Status::message_malformed);
  expect_equal(ready, some_ready(2));
}

TEST(Payload, the_largest_fit_the_smallest_frame) {
  for (const std::size_t bytes : {kHelloBytes, kErrorBytes, kSeatAssignmentBytes,
                                  encoded(some_ready(64)).size(), encoded(entries_of(64)).size()}) {
    EXPECT_LE(max_frame_bytes(kMessageHeaderBytes + bytes), kMinFrameBytes);
  }
}

}  // namespace
}  // namespace mote
