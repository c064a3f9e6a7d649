// SPDX-License-Identifier: Apache-2.0
#include "mote/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/crc32.hpp"
#include "mote/message.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::ptrdiff_t kGroup = 254;

void append(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

Bytes concatenate(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) append(all, part);
  return all;
}

/// `out` is exactly as long as the library asks for, so that a sanitizer sees what lies beyond.
Bytes frame_of(const Bytes& message) {
  Bytes out(max_frame_bytes(message.size()));
  out.resize(encode_frame(out, message));
  return out;
}

/// The checksum begins with four bytes that are not sent.
Bytes with_crc(Bytes message) {
  Bytes covered = {'M', 'o', 't', 'e'};
  append(covered, message);
  const std::uint32_t crc = crc32(covered);
  for (int i = 0; i < 4; ++i) message.push_back(static_cast<std::uint8_t>(crc >> (8 * i)));
  return message;
}

/// COBS as its paper tells it: a group is a run without zeros, of 254 bytes at most. Where it is
/// shorter, a zero follows it, but not behind the last group.
Bytes cobs(const Bytes& bytes) {
  Bytes out;
  auto at = bytes.begin();
  for (bool is_last = false; !is_last;) {
    const auto limit = at + std::min<std::ptrdiff_t>(bytes.end() - at, kGroup);
    const auto end = std::find(at, limit, 0);
    const bool is_full = end - at == kGroup;
    out.push_back(static_cast<std::uint8_t>(end - at + 1));
    out.insert(out.end(), at, end);
    is_last = end == bytes.end();
    at = is_last || is_full ? end : end + 1;
  }
  out.push_back(0);
  return out;
}

std::vector<Bytes> read_all(FrameReader& reader, const Bytes& stream) {
  std::vector<Bytes> messages;
  std::span<const std::uint8_t> input(stream);
  for (;;) {
    const std::span<const std::uint8_t> message = reader.read(input);
    if (message.empty()) break;
    messages.emplace_back(message.begin(), message.end());
  }
  EXPECT_TRUE(input.empty());
  return messages;
}

Bytes random_bytes(test::Random& random, std::size_t count, std::uint64_t values = 256) {
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(values));
  return bytes;
}

/// Any size; bytes dense or poor in zeros.
Bytes random_message(test::Random& random) {
  const std::size_t limit = random.below(4) == 0 ? kMaxMessageBytes : 40;
  return random_bytes(random, 1 + random.below(limit), random.below(2) == 0 ? 256 : 3);
}

/// Every size with the contents that COBS treats most differently.
template <typename Check>
void for_each_size_and_content(Check check) {
  test::Random random(1);
  for (std::size_t size = 1; size <= kMaxMessageBytes; ++size) {
    check(Bytes(size, 0xff));
    check(Bytes(size, 0));
    check(random_bytes(random, size));
    check(random_bytes(random, size, 2));
    Bytes last_is_zero(size, 1);
    last_is_zero.back() = 0;
    check(last_is_zero);
  }
}

TEST(Frame, sizes) {
  EXPECT_EQ(max_frame_bytes(1), 7U);
  EXPECT_EQ(max_frame_bytes(250), 256U);
  EXPECT_EQ(max_frame_bytes(251), 258U);
  EXPECT_EQ(kMaxMessageBytes, 504U);
  EXPECT_EQ(kMaxFrameBytes, 511U);
  EXPECT_EQ(max_message_bytes(0), 0U);
  EXPECT_EQ(max_message_bytes(6), 0U);
  EXPECT_EQ(max_message_bytes(7), 1U);
  EXPECT_EQ(max_message_bytes(kMinFrameBytes), 244U);
  EXPECT_EQ(max_message_bytes(kMaxFrameBytes), kMaxMessageBytes);
  EXPECT_EQ(max_message_bytes(100000), kMaxMessageBytes);
}

TEST(Frame, known_bytes) {
  // CRC-32 of "Mote123456789" is 0xfbdb87e3.
  EXPECT_EQ(frame_of({'1', '2', '3', '4', '5', '6', '7', '8', '9'}),
            (Bytes{14, '1', '2', '3', '4', '5', '6', '7', '8', '9', 0xe3, 0x87, 0xdb, 0xfb, 0}));
  // That of "Mote" and a zero is 0x4e76d3de.
  EXPECT_EQ(frame_of({0}), (Bytes{1, 5, 0xde, 0xd3, 0x76, 0x4e, 0}));
}

TEST(Frame, is_crc_then_cobs_then_zero) {
  for_each_size_and_content([](const Bytes& message) {
    ASSERT_EQ(frame_of(message), cobs(with_crc(message))) << message.size();
  });
}

TEST(Frame, overhead_is_at_most_16_bytes) {
  std::size_t largest = 0;
  for_each_size_and_content([&](const Bytes& message) {
    const Bytes frame = frame_of(message);
    ASSERT_LE(frame.size(), max_frame_bytes(message.size()));
    ASSERT_EQ(std::ranges::count(frame, 0), 1);
    ASSERT_EQ(frame.back(), 0);
    largest = std::max(largest, frame.size() - message.size() + kMessageHeaderBytes);
  });
  EXPECT_EQ(largest, 16U);
}

TEST(Frame, a_full_last_group_is_followed_by_no_empty_one) {
  int found = 0;
  test::Random random(2);
  while (found < 100) {
    const Bytes message = random_bytes(random, 250);
    Bytes framed = with_crc(message);
    if (std::ranges::count(framed, 0) != 0) continue;
    ++found;
    framed.insert(framed.begin(), 0xff);
    framed.push_back(0);
    ASSERT_EQ(frame_of(message), framed);
  }
}

TEST(FrameReader, round_trip_of_every_size) {
  FrameReader reader;
  for_each_size_and_content([&](const Bytes& message) {
    ASSERT_EQ(read_all(reader, frame_of(message)), std::vector<Bytes>{message});
  });
  EXPECT_EQ(reader.damaged_frames(), 0U);
}

TEST(FrameReader, takes_a_frame_cut_at_every_byte) {
  test::Random random(3);
  for (const std::size_t size : {std::size_t{1}, std::size_t{9}, std::size_t{300}}) {
    const Bytes message = random_bytes(random, size, 8);
    const Bytes frame = frame_of(message);
    for (std::size_t cut = 1; cut < frame.size(); ++cut) {
      FrameReader reader;
      const auto middle = frame.begin() + static_cast<std::ptrdiff_t>(cut);
      ASSERT_TRUE(read_all(reader, Bytes(frame.begin(), middle)).empty());
      ASSERT_EQ(read_all(reader, Bytes(middle, frame.end())), std::vector<Bytes>{message}) << cut;
    }
  }
}

TEST(FrameReader, leaves_what_follows_a_frame_in_the_input) {
  const Bytes stream = concatenate({frame_of({1}), frame_of({2, 0})});
  std::span<const std::uint8_t> input(stream);
  FrameReader reader;
  EXPECT_EQ(reader.read(input).size(), 1U);
  EXPECT_EQ(input.size(), frame_of({2, 0}).size());
  EXPECT_EQ(reader.read(input).size(), 2U);
  EXPECT_TRUE(input.empty());
  EXPECT_TRUE(reader.read(input).empty());
}

TEST(FrameReader, refuses_every_beginning_of_a_frame) {
  test::Random random(4);
  const Bytes message = random_bytes(random, 300, 16);
  const Bytes sentinel = {7, 7};
  Bytes frame = frame_of(message);
  frame.pop_back();
  for (std::size_t size = 1; size < frame.size(); ++size) {
    FrameReader reader;
    const Bytes part(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
    const Bytes stream = concatenate({part, {0}, frame_of(sentinel)});
    ASSERT_EQ(read_all(reader, stream), std::vector<Bytes>{sentinel}) << size;
    ASSERT_EQ(reader.damaged_frames(), 1U) << size;
  }
}

TEST(FrameReader, refuses_every_end_of_a_frame) {
  test::Random random(5);
  const Bytes frame = frame_of(random_bytes(random, 300, 16));
  for (std::size_t skipped = 1; skipped + 1 < frame.size(); ++skipped) {
    FrameReader reader;
    const Bytes part(frame.begin() + static_cast<std::ptrdiff_t>(skipped), frame.end());
    ASSERT_TRUE(read_all(reader, part).empty()) << skipped;
    ASSERT_EQ(reader.damaged_frames(), 1U) << skipped;
  }
}

TEST(FrameReader, refuses_a_group_without_its_end) {
  Bytes frame = frame_of({1, 2, 3});
  frame.front() = static_cast<std::uint8_t>(frame.front() + 1);
  FrameReader reader;
  EXPECT_TRUE(read_all(reader, frame).empty());
  EXPECT_EQ(reader.damaged_frames(), 1U);
}

TEST(FrameReader, passes_over_empty_frames) {
  FrameReader reader;
  const Bytes stream = concatenate({{0, 0}, frame_of({5}), {0, 0, 0}, frame_of({6}), {0}});
  EXPECT_EQ(read_all(reader, stream), (std::vector<Bytes>{{5}, {6}}));
  EXPECT_EQ(reader.damaged_frames(), 0U);
}

TEST(FrameReader, refuses_frames_too_short_for_a_message) {
  for (const Bytes& bytes : {Bytes{}, Bytes{1}, Bytes{0, 0, 0}, Bytes{0, 0, 0, 0}, with_crc({})}) {
    FrameReader reader;
    EXPECT_TRUE(read_all(reader, cobs(bytes)).empty());
    EXPECT_EQ(reader.damaged_frames(), 1U) << bytes.size();
  }
}

TEST(FrameReader, refuses_a_frame_longer_than_a_message_may_be) {
  const Bytes longest(kMaxMessageBytes, 3);
  for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{0xff}}) {
    for (std::size_t size = kMaxMessageBytes + 1; size < 2000; size += 1 + size / 8) {
      FrameReader reader;
      const Bytes stream =
          concatenate({cobs(with_crc(Bytes(size, value))), frame_of(longest), frame_of({1})});
      ASSERT_EQ(read_all(reader, stream), (std::vector<Bytes>{longest, {1}})) << size;
      ASSERT_EQ(reader.damaged_frames(), 1U);
    }
  }
}

TEST(FrameReader, refuses_a_longest_message_with_more_behind_it) {
  for (const std::size_t more : {std::size_t{1}, std::size_t{4}, std::size_t{600}}) {
    for (const std::uint8_t value : {std::uint8_t{0}, std::uint8_t{1}}) {
      FrameReader reader;
      const Bytes longest = with_crc(Bytes(kMaxMessageBytes, 2));
      ASSERT_TRUE(read_all(reader, cobs(concatenate({longest, Bytes(more, value)}))).empty());
      ASSERT_EQ(reader.damaged_frames(), 1U);
    }
  }
}

TEST(FrameReader, refuses_every_damaged_byte_of_a_frame) {
  const Bytes frame = frame_of({1, 0, 2, 0, 0, 9, 8, 7});
  for (std::size_t i = 0; i < frame.size(); ++i) {
    for (int change = 1; change < 256; ++change) {
      Bytes damaged = frame;
      damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ change);
      FrameReader reader;
      damaged.push_back(0);
      ASSERT_TRUE(read_all(reader, damaged).empty()) << i << " " << change;
      ASSERT_GE(reader.damaged_frames(), 1U);
    }
  }
}

TEST(FrameReader, equal_bytes_are_no_frame) {
  // By itself CRC-32 takes ff ff ff ff, any zeros, ff ff ff ff for a message and its checksum.
  const Bytes ones(4, 0xff);
  for (std::size_t zeros = 0; zeros < 500; ++zeros) {
    FrameReader reader;
    ASSERT_TRUE(read_all(reader, cobs(concatenate({ones, Bytes(zeros, 0), ones}))).empty());
    ASSERT_TRUE(read_all(reader, cobs(Bytes(zeros, 0))).empty());
    ASSERT_TRUE(read_all(reader, cobs(Bytes(zeros + 1, 1))).empty());
    ASSERT_TRUE(read_all(reader, cobs(Bytes(zeros + 1, 0xff))).empty());
  }
}

TEST(FrameReader, noise_without_a_zero_costs_one_frame) {
  test::Random random(6);
  for (int round = 0; round < 2000; ++round) {
    const Bytes lost = random_message(random);
    const Bytes found = random_message(random);
    Bytes noise = random_bytes(random, 1 + random.below(700), 255);
    for (std::uint8_t& byte : noise) ++byte;
    FrameReader reader;
    const Bytes stream = concatenate({noise, frame_of(lost), frame_of(found)});
    ASSERT_EQ(read_all(reader, stream), std::vector<Bytes>{found}) << round;
    ASSERT_EQ(reader.damaged_frames(), 1U);
  }
}

TEST(FrameReader, noise_that_ends_with_a_zero_costs_nothing) {
  test::Random random(7);
  FrameReader reader;
  for (int round = 0; round < 2000; ++round) {
    const Bytes message = random_message(random);
    const Bytes noise = random_bytes(random, random.below(700), round % 2 == 0 ? 256 : 4);
    ASSERT_EQ(read_all(reader, concatenate({noise, {0}, frame_of(message)})),
              std::vector<Bytes>{message})
        << round;
  }
  EXPECT_GT(reader.damaged_frames(), 1000U);
}

TEST(FrameReader, noise_between_frames_costs_at_most_the_next_one) {
  test::Random random(8);
  FrameReader reader;
  for (int round = 0; round < 5000; ++round) {
    const Bytes first = random_message(random);
    const Bytes next = random_message(random);
    const Bytes noise = random_bytes(random, 1 + random.below(60), 1 + random.below(256));
    // A zero before the first frame ends whatever the round before has left.
    std::vector<Bytes> messages =
        read_all(reader, concatenate({{0}, noise, frame_of(first), frame_of(next)}));
    ASSERT_FALSE(messages.empty()) << round;
    ASSERT_EQ(messages.back(), next) << round;
    messages.pop_back();
    ASSERT_TRUE(messages.empty() || messages == std::vector<Bytes>{first}) << round;
  }
}

TEST(FrameReader, no_damaged_frame_is_accepted) {
  constexpr int kStreams = 20000;
  constexpr int kFlips = 10;  // places of damage in a stream, of 1 to 3 bits each
  test::Random random(9);
  std::size_t arrived = 0;
  for (int round = 0; round < kStreams; ++round) {
    std::vector<Bytes> sent;
    Bytes stream;
    for (int i = 0; i < 2 * kFlips; ++i) {
      sent.push_back(random_bytes(random, 9 + random.below(24), i % 2 == 0 ? 256 : 2));
      append(stream, frame_of(sent.back()));
    }
    for (int i = 0; i < kFlips; ++i) {
      const std::size_t at = random.below(stream.size());
      for (std::uint64_t bits = 1 + random.below(3); bits > 0; --bits) {
        const std::size_t byte = std::min<std::size_t>(at + random.below(20), stream.size() - 1);
        stream[byte] = static_cast<std::uint8_t>(stream[byte] ^ 1U << random.below(8));
      }
    }
    FrameReader reader;
    auto next = sent.begin();
    for (const Bytes& message : read_all(reader, stream)) {
      next = std::find(next, sent.end(), message);
      ASSERT_NE(next, sent.end()) << "round " << round << ": a message that nobody sent";
      ++next;
      ++arrived;
    }
  }
  // About half of the frames are hit, and some of them take the next one along.
  EXPECT_GT(arrived, std::size_t{kStreams} * kFlips / 2);
  EXPECT_LT(arrived, std::size_t{kStreams} * kFlips * 2);
}

}  // namespace
}  // namespace mote
