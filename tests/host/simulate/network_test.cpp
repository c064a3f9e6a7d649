// SPDX-License-Identifier: Apache-2.0
#include "simulate/network.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace mote::host {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// Chips that have frames to send and keep what arrives.
class Post : public NetworkClient {
 public:
  struct Arrived {
    std::uint32_t seat = 0;
    std::uint32_t port = 0;
    Bytes bytes;
    std::uint64_t at_ns = 0;
  };

  Post(NetworkOptions options, const FaultRates& rates = {})
      : random_(1), network_(options, rates, events_, *this, random_) {}

  void send(std::uint32_t seat, std::uint32_t port, Bytes bytes) {
    waiting_.push_back({seat, port, std::move(bytes), 0});
    network_.poll(seat);
  }
  void run() {
    while (!events_.is_empty()) {
      const Event event = events_.pop();
      event.kind == EventKind::sent ? network_.take_sent(event) : network_.take_arrival(event);
    }
  }
  std::size_t pull(PortAddress from, std::span<std::uint8_t> out, std::uint64_t&) override {
    const auto first = std::ranges::find_if(waiting_, [&](const Arrived& frame) {
      return frame.seat == from.seat && frame.port == from.port;
    });
    if (first == waiting_.end()) return 0;
    const std::size_t size = first->bytes.size();
    std::ranges::copy(first->bytes, out.begin());
    waiting_.erase(first);
    return size;
  }
  void deliver(const Frame& frame) override {
    arrived.push_back({frame.to.seat, frame.to.port, frame.bytes, events_.now_ns()});
  }

  Network& network() { return network_; }
  std::vector<Arrived> arrived;

 private:
  EventQueue events_;
  Pcg32 random_;
  std::vector<Arrived> waiting_;
  Network network_;
};

/// 5 bytes a microsecond, 50 us a message.
NetworkOptions spi(Topology topology, std::uint32_t seats) {
  NetworkOptions options;
  options.topology = topology;
  options.seats = seats;
  return options;
}

TEST(Network, a_frame_takes_the_time_of_a_message_and_of_its_bytes) {
  Post post(spi(Topology::ring, 3));
  post.send(0, 0, Bytes(100, 7));
  post.send(0, 0, Bytes(50, 8));
  post.run();
  ASSERT_EQ(post.arrived.size(), 2U);
  EXPECT_EQ(post.arrived[0].at_ns, 70'000U);
  EXPECT_EQ(post.arrived[1].at_ns, 70'000U + 60'000U) << "one after another";
  EXPECT_EQ(post.arrived[0].seat, 1U);
  EXPECT_EQ(post.arrived[0].port, 1U);
  EXPECT_EQ(post.arrived[0].bytes, Bytes(100, 7));
}

TEST(Network, latency_does_not_keep_the_next_frame_back) {
  NetworkOptions options = spi(Topology::ring, 2);
  options.latency_us = 1000;
  Post post(options);
  post.send(0, 0, Bytes(100, 7));
  post.send(0, 0, Bytes(100, 8));
  post.run();
  ASSERT_EQ(post.arrived.size(), 2U);
  EXPECT_EQ(post.arrived[0].at_ns, 1'070'000U);
  EXPECT_EQ(post.arrived[1].at_ns, 1'140'000U);
}

TEST(Network, directions_and_links_work_side_by_side) {
  Post post(spi(Topology::ring, 3));
  for (std::uint32_t seat = 0; seat < 3; ++seat) {
    for (std::uint32_t port = 0; port < 2; ++port) post.send(seat, port, Bytes(100, 7));
  }
  post.run();
  ASSERT_EQ(post.arrived.size(), 6U);
  for (const Post::Arrived& frame : post.arrived) EXPECT_EQ(frame.at_ns, 70'000U);
}

TEST(Network, on_a_shared_medium_one_speaks_and_all_hear) {
  Post post(spi(Topology::broadcast, 3));
  for (std::uint32_t seat = 0; seat < 3; ++seat) {
    post.send(seat, 0, Bytes(100, static_cast<std::uint8_t>(seat + 1)));
  }
  post.run();
  ASSERT_EQ(post.arrived.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(post.arrived[i].at_ns, 70'000U * (i / 2 + 1));
    EXPECT_NE(post.arrived[i].bytes[0], post.arrived[i].seat + 1) << "not the sender itself";
  }
}

TEST(Network, a_dead_direction_swallows_frames_until_it_lives_again) {
  Post post(spi(Topology::ring, 3));
  post.network().set_dead(0, 1, true);
  post.network().set_dead(0, 1, true);
  post.network().set_dead(0, 1, false);
  post.send(0, 0, Bytes(10, 1));
  post.send(1, 1, Bytes(10, 2));
  post.run();
  ASSERT_EQ(post.arrived.size(), 1U) << "the other direction lives";
  EXPECT_EQ(post.network().counters().cut_off, 1U);
  post.network().set_dead(0, 1, false);
  post.send(0, 0, Bytes(10, 3));
  post.run();
  EXPECT_EQ(post.arrived.back().bytes, Bytes(10, 3));
}

TEST(Network, a_chip_that_stops_leaves_the_beginning_of_its_frame) {
  Post post(spi(Topology::ring, 3));
  post.send(0, 0, Bytes(200, 7));
  post.network().truncate_frames_of(0);
  post.run();
  ASSERT_EQ(post.arrived.size(), 1U);
  EXPECT_LE(post.arrived[0].bytes.size(), 200U);
  EXPECT_GE(post.arrived[0].bytes.size(), 1U);
}

/// 1,000 numbered frames through one link.
Post send_many(const FaultRates& rates) {
  Post post(spi(Topology::ring, 2), rates);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    post.send(0, 0, {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8), 1, 2});
  }
  post.run();
  return post;
}

std::size_t count_out_of_order(const Post& post) {
  std::size_t count = 0;
  std::uint32_t last = 0;
  for (const Post::Arrived& frame : post.arrived) {
    const std::uint32_t number = frame.bytes[0] + 256U * frame.bytes[1];
    count += number < last ? 1 : 0;
    last = std::max(last, number);
  }
  return count;
}

TEST(Network, chance_drops_frames_at_its_rate) {
  FaultRates rates;
  rates.drop = 0.3;
  const std::size_t arrived = send_many(rates).arrived.size();
  EXPECT_GT(arrived, 600U);
  EXPECT_LT(arrived, 800U);
}

TEST(Network, chance_repeats_frames) {
  FaultRates rates;
  rates.duplicate = 0.3;
  const std::size_t arrived = send_many(rates).arrived.size();
  EXPECT_GT(arrived, 1200U);
  EXPECT_LT(arrived, 1400U);
}

TEST(Network, a_reordered_frame_arrives_after_the_next) {
  FaultRates rates;
  rates.reorder = 0.3;
  const Post post = send_many(rates);
  EXPECT_GE(post.arrived.size(), 999U) << "the last may wait for ever";
  EXPECT_GT(count_out_of_order(post), 150U);
}

TEST(Network, a_delayed_frame_may_be_overtaken) {
  FaultRates rates;
  rates.delay = 0.2;
  rates.delay_us = 500;
  const Post post = send_many(rates);
  EXPECT_EQ(post.arrived.size(), 1000U);
  EXPECT_GT(count_out_of_order(post), 50U);
}

TEST(Network, chance_flips_bits_or_brings_noise) {
  FaultRates rates;
  rates.corrupt = 0.5;
  const Post post = send_many(rates);
  ASSERT_EQ(post.arrived.size(), 1000U);
  const auto noise = std::ranges::count_if(
      post.arrived, [](const Post::Arrived& frame) { return frame.bytes.size() != 4; });
  EXPECT_GT(noise, 50);
  EXPECT_LT(noise, 250);
}

TEST(EventQueue, events_come_by_time_and_then_as_they_were_pushed) {
  EventQueue events;
  events.push(20, EventKind::tick, 1);
  events.push(10, EventKind::tick, 2);
  events.push(10, EventKind::tick, 3);
  EXPECT_EQ(events.pop().subject, 2U);
  EXPECT_EQ(events.pop().subject, 3U);
  events.push(5, EventKind::tick, 4);
  const Event late = events.pop();
  EXPECT_EQ(late.subject, 4U);
  EXPECT_EQ(late.time_ns, 10U) << "time does not go back";
  EXPECT_EQ(events.pop().subject, 1U);
  EXPECT_TRUE(events.is_empty());
  EXPECT_EQ(events.count(), 4U);
  EXPECT_EQ(events.most_waiting(), 3U);
}

}  // namespace
}  // namespace mote::host
