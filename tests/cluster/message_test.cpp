// SPDX-License-Identifier: Apache-2.0
#include "mote/message.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "support/random.hpp"

namespace mote {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array kTypes = {
    MessageType::hello,      MessageType::ready,     MessageType::activation, MessageType::token,
    MessageType::candidates, MessageType::heartbeat, MessageType::barrier,    MessageType::ack,
    MessageType::error,      MessageType::seat};

bool answers(MessageType type) {
  return type == MessageType::barrier || type == MessageType::ack;
}
bool has_exchange(MessageType type) {
  return type == MessageType::activation || type == MessageType::token ||
         type == MessageType::candidates || answers(type);
}

Bytes encoded(const MessageHeader& header) {
  Bytes bytes(kMessageHeaderBytes);
  encode_header(bytes, header);
  return bytes;
}

Status decode_status(const Bytes& message) {
  MessageHeader header;
  return decode_header(header, message);
}

void expect_equal(const MessageHeader& a, const MessageHeader& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.session, b.session);
  EXPECT_EQ(a.exchange, b.exchange);
  EXPECT_EQ(a.layer, b.layer);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.position, b.position);
  EXPECT_EQ(a.first, b.first);
}

void expect_round_trip(const MessageHeader& header) {
  MessageHeader found;
  ASSERT_EQ(decode_header(found, encoded(header)), Status::ok);
  expect_equal(found, header);
}

/// Sets the bits from `first` on of a header seen as one little-endian number.
Bytes with_bits(Bytes bytes, std::size_t first, std::size_t count, std::uint32_t value) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint8_t& byte = bytes[(first + i) / 8];
    const auto mask = static_cast<std::uint8_t>(1U << (first + i) % 8);
    byte = static_cast<std::uint8_t>((value >> i & 1) != 0 ? byte | mask : byte & ~mask);
  }
  return bytes;
}
Bytes with_exchange(const Bytes& bytes, std::uint32_t value) {
  return with_bits(bytes, 13, 3, value);
}
Bytes with_layer(const Bytes& bytes, std::uint32_t value) {
  return with_bits(bytes, 24, 8, value);
}
Bytes with_sequence(const Bytes& bytes, std::uint32_t value) {
  return with_bits(bytes, 32, 16, value);
}
Bytes with_first(const Bytes& bytes, std::uint32_t value) {
  return with_bits(bytes, 48, 13, value);
}
Bytes with_position(const Bytes& bytes, std::uint32_t value) {
  return with_bits(bytes, 61, 11, value);
}

TEST(MessageHeader, known_bytes) {
  MessageHeader header;
  header.type = MessageType::activation;
  header.source = 0x25;
  header.exchange = Exchange::hidden;
  header.session = 0x9a;
  header.layer = 0x1f;
  header.sequence = 0xbeef;
  header.first = 0x1234;
  header.position = 0x5a5;
  // 001 | 0011 << 3 | 100101 << 7 | 100 << 13 = 0x9299; 0x1234 | 0x5a5 << 13 = 0xb4b234.
  EXPECT_EQ(encoded(header), (Bytes{0x99, 0x92, 0x9a, 0x1f, 0xef, 0xbe, 0x34, 0xb2, 0xb4}));
}

TEST(MessageHeader, every_field_has_its_bits) {
  MessageHeader header;
  header.type = MessageType::activation;
  header.exchange = Exchange::heads;
  const Bytes zero = encoded(header);
  header.source = 63;
  EXPECT_EQ(encoded(header), with_bits(zero, 7, 6, 63));
  header.source = 0;
  header.session = 0xff;
  EXPECT_EQ(encoded(header), with_bits(zero, 16, 8, 0xff));
  header.session = 0;
  header.layer = 0xff;
  EXPECT_EQ(encoded(header), with_layer(zero, 0xff));
  header.layer = 0;
  header.sequence = 0xffff;
  EXPECT_EQ(encoded(header), with_sequence(zero, 0xffff));
  header.sequence = 0;
  header.first = kMaxItem;
  EXPECT_EQ(encoded(header), with_first(zero, kMaxItem));
  header.first = 0;
  header.position = kPositionMask;
  EXPECT_EQ(encoded(header), with_position(zero, kPositionMask));
}

TEST(MessageHeader, round_trip_at_the_extremes) {
  for (const MessageType type : kTypes) {
    for (std::uint32_t corner = 0; corner < 32; ++corner) {
      MessageHeader header;
      header.type = type;
      header.source = (corner & 1) != 0 ? 63 : 0;
      header.session = (corner & 2) != 0 ? 0xff : 0;
      if (has_exchange(type)) header.sequence = (corner & 4) != 0 ? 0xffff : 0;
      if (has_exchange(type)) header.position = (corner & 8) != 0 ? 0x7ff : 0;
      if (!answers(type)) header.first = (corner & 16) != 0 ? kMaxItem : 0;
      expect_round_trip(header);
    }
  }
}

TEST(MessageHeader, activations_name_exchange_and_layer) {
  MessageHeader header;
  header.type = MessageType::activation;
  for (const Exchange exchange : {Exchange::embed, Exchange::attention_input, Exchange::heads,
                                  Exchange::ffn_input, Exchange::hidden, Exchange::final_input}) {
    header.exchange = exchange;
    const bool has_layer = exchange != Exchange::embed && exchange != Exchange::final_input;
    header.layer = has_layer ? 255 : 0;
    expect_round_trip(header);
    EXPECT_EQ(decode_status(with_layer(encoded(header), 1)),
              has_layer ? Status::ok : Status::message_malformed);
  }
  const Bytes bytes = encoded(header);
  EXPECT_EQ(decode_status(with_exchange(bytes, 6)), Status::message_malformed);
  EXPECT_EQ(decode_status(with_exchange(bytes, 7)), Status::message_malformed);
}

TEST(MessageHeader, fields_that_a_type_does_not_use_are_zero) {
  for (const MessageType type : kTypes) {
    MessageHeader header;
    header.type = type;
    const Bytes bytes = encoded(header);
    const auto refused_unless = [](bool allowed) {
      return allowed ? Status::ok : Status::message_malformed;
    };
    const bool is_activation = type == MessageType::activation;
    for (std::uint32_t exchange = 1; exchange < 6; ++exchange) {
      EXPECT_EQ(decode_status(with_exchange(bytes, exchange)), refused_unless(is_activation));
    }
    EXPECT_EQ(decode_status(with_layer(with_exchange(bytes, 2), 1)), refused_unless(is_activation));
    EXPECT_EQ(decode_status(with_layer(bytes, 1)), Status::message_malformed);
    EXPECT_EQ(decode_status(with_sequence(bytes, 1)), refused_unless(has_exchange(type)));
    EXPECT_EQ(decode_status(with_position(bytes, 1)), refused_unless(has_exchange(type)));
    EXPECT_EQ(decode_status(with_first(bytes, 1)), refused_unless(!answers(type)));
  }
}

TEST(MessageHeader, unknown_types_are_refused) {
  for (std::uint32_t type = 0; type < 16; ++type) {
    const Bytes bytes = with_bits(encoded({}), 3, 4, type);
    EXPECT_EQ(decode_status(bytes),
              1 <= type && type <= 10 ? Status::ok : Status::message_malformed);
  }
}

TEST(MessageHeader, shorter_than_a_header_is_refused) {
  const Bytes bytes = encoded({});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(decode_status(part), Status::message_malformed) << size;
  }
}

TEST(MessageHeader, heartbeat_and_barrier_have_no_payload) {
  for (const MessageType type : kTypes) {
    MessageHeader header;
    header.type = type;
    Bytes bytes = encoded(header);
    EXPECT_EQ(decode_status(bytes), Status::ok);
    bytes.push_back(0);
    const bool is_bare = type == MessageType::heartbeat || type == MessageType::barrier;
    EXPECT_EQ(decode_status(bytes), is_bare ? Status::message_malformed : Status::ok);
  }
}

TEST(MessageHeader, another_version_is_told_whatever_else_is_in_it) {
  MessageHeader header;
  header.type = MessageType::hello;
  header.source = 43;
  const Bytes bytes = encoded(header);
  for (std::uint32_t version = 0; version < 8; ++version) {
    if (version == kProtocolVersion) continue;
    Bytes other = with_layer(with_exchange(with_bits(bytes, 0, 3, version), 7), 9);
    for (; !other.empty(); other.pop_back()) {
      MessageHeader found;
      ASSERT_EQ(decode_header(found, other), Status::message_bad_version) << version;
      EXPECT_EQ(found.type, MessageType::hello);
      EXPECT_EQ(found.source, other.size() > 1 ? 43 : 1);  // it begins in the first byte
    }
  }
}

TEST(MessageHeader, what_is_refused_leaves_the_header_alone) {
  MessageHeader header;
  header.session = 77;
  ASSERT_EQ(decode_header(header, with_bits(encoded({}), 3, 4, 15)), Status::message_malformed);
  EXPECT_EQ(header.session, 77);
}

TEST(MessageHeader, random_bytes_decode_to_what_they_encode_or_not_at_all) {
  test::Random random(1);
  std::uint32_t accepted = 0;
  for (int round = 0; round < 300000; ++round) {
    Bytes bytes(kMessageHeaderBytes);
    for (std::uint8_t& byte : bytes) {
      byte = static_cast<std::uint8_t>(random.below(3) == 0 ? 0 : random.next());
    }
    bytes = with_bits(bytes, 0, 3, kProtocolVersion);
    MessageHeader header;
    if (decode_header(header, bytes) != Status::ok) continue;
    ++accepted;
    ASSERT_EQ(encoded(header), bytes);
  }
  EXPECT_GT(accepted, 1000U);
}

}  // namespace
}  // namespace mote
