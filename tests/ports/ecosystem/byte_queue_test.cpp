// SPDX-License-Identifier: Apache-2.0
#include "ecosystem/byte_queue.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mote::ports {
namespace {

std::vector<std::uint8_t> numbers(std::size_t count, std::uint8_t first = 0) {
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = first++;
  return bytes;
}

TEST(ByteQueue, TakesWhatFitsAndGivesItInOrder) {
  ByteQueue<8> queue;
  EXPECT_EQ(queue.write(numbers(5)), 5U);
  EXPECT_EQ(queue.write(numbers(5, 5)), 3U);
  EXPECT_EQ(queue.room(), 0U);
  std::vector<std::uint8_t> out(20);
  EXPECT_EQ(queue.read(std::span(out).first(3)), 3U);
  EXPECT_EQ(queue.read(std::span(out).subspan(3)), 5U);
  out.resize(8);
  EXPECT_EQ(out, numbers(8));
  EXPECT_EQ(queue.size(), 0U);
}

TEST(ByteQueue, TakesAllOrNone) {
  ByteQueue<8> queue;
  EXPECT_TRUE(queue.write_whole(numbers(6)));
  EXPECT_FALSE(queue.write_whole(numbers(3)));
  EXPECT_EQ(queue.size(), 6U);
  EXPECT_TRUE(queue.write_whole(numbers(2)));
}

TEST(ByteQueue, ItsFrontLiesInOnePiece) {
  ByteQueue<8> queue;
  std::vector<std::uint8_t> out(6);
  queue.write(numbers(6));
  queue.read(out);
  queue.write(numbers(5));
  EXPECT_EQ(queue.front().size(), 2U);
  queue.drop(2);
  ASSERT_EQ(queue.front().size(), 3U);
  EXPECT_EQ(queue.front()[0], 2);
  queue.drop(1);
  EXPECT_EQ(queue.size(), 2U);
}

TEST(ByteQueue, CarriesAStreamBetweenThreads) {
  constexpr std::size_t kBytes = 50'000;
  ByteQueue<64> queue;
  std::thread writer([&queue] {
    for (std::size_t i = 0; i < kBytes;) {
      const std::uint8_t byte = static_cast<std::uint8_t>(i * 7);
      const std::size_t taken = queue.write({&byte, 1});
      if (taken == 0) std::this_thread::yield();
      i += taken;
    }
  });
  std::size_t wrong = 0;
  std::array<std::uint8_t, 13> out;
  for (std::size_t i = 0; i < kBytes;) {
    const std::size_t count = queue.read(out);
    if (count == 0) std::this_thread::yield();
    for (std::size_t k = 0; k < count; ++k)
      wrong += out[k] != static_cast<std::uint8_t>((i + k) * 7);
    i += count;
  }
  writer.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace mote::ports
