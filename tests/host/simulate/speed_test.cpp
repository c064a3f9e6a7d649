// SPDX-License-Identifier: Apache-2.0
// How much faster chips are together, under the model of chip and link that the bars name: 160 MHz,
// 3.3 cycles a multiply-accumulate, SPI at 5 MB/s, 50 us a message.
#include "simulate/speed.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "host/simulate/small_cluster.hpp"
#include "simulate/speed_report.hpp"
#include "support/image_factory.hpp"

namespace mote::host {
namespace {

using mote::test::ModelSpec;
using mote::test::OpenImage;

/// The dimensions of the shared stories3.3M.
const Image& stories3m_shape(std::uint32_t block) {
  const auto make = [](std::uint32_t lanes) {
    ModelSpec spec;
    spec.shape = {192, 512, 6, 6, 2, 32, 4096, 256};
    spec.block = lanes;
    return std::make_unique<OpenImage>(spec);
  };
  static const auto of_16 = make(16);
  static const auto of_32 = make(32);
  return block == 16 ? of_16->image() : of_32->image();
}

SpeedOptions chips(std::size_t count, std::uint32_t max_tokens = 12) {
  SpeedOptions options;
  options.weights.assign(count, 1);
  options.link = parse_link("spi");
  options.run = {256, 1, 1};
  options.question.prompt = {1, 403, 7, 2048};
  options.question.max_tokens = max_tokens;
  return options;
}

TEST(Speed, bars_of_two_four_and_eight_chips) {
  const struct {
    std::uint32_t block;
    std::size_t chips;
    double bar;
  } cases[] = {{32, 2, 1.75}, {32, 4, 2.9}, {32, 8, 3.5},
               {16, 2, 1.75}, {16, 4, 2.9}, {16, 8, 3.5}};
  for (const auto& one : cases) {
    SCOPED_TRACE(testing::Message() << one.chips << " chips, block " << one.block);
    const SpeedResult result = measure_speed(stories3m_shape(one.block), chips(one.chips));
    EXPECT_TRUE(result.is_identical);
    EXPECT_EQ(result.cluster.answer.sessions, 1U);
    EXPECT_GE(result.speedup(), one.bar);
    EXPECT_LT(result.speedup(), static_cast<double>(one.chips));
  }
}

TEST(Speed, the_parts_of_a_token_are_its_whole_time) {
  for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
    SpeedOptions options = chips(5);
    options.topology = topology;
    const SpeedRun run = measure_speed(stories3m_shape(32), options).cluster;
    double us = 0;
    double compute = 0;
    double imbalance = 0;
    for (const TimeParts& parts : run.parts) {
      us += parts.sum();
      compute += parts.compute;
      imbalance += parts.imbalance;
      EXPECT_GE(parts.waiting, -0.1);
    }
    EXPECT_NEAR(us, 1e6 / run.tokens_per_s, us / 100);
    EXPECT_GT(compute, us / 4);
    EXPECT_GT(imbalance, 0);
  }
}

TEST(Speed, one_chip_computes_and_does_nothing_else) {
  const SpeedResult result = measure_speed(stories3m_shape(32), chips(1));
  EXPECT_TRUE(result.is_identical);
  EXPECT_DOUBLE_EQ(result.speedup(), 1);
  EXPECT_EQ(result.cluster.traffic.messages, 0);
  // 3.15 million multiply-accumulates and those of attention, 3.3 cycles each, at 160 MHz.
  EXPECT_NEAR(1 / result.cluster.tokens_per_s, 3.15e6 * 3.3 / 160e6, 0.002);
}

TEST(Speed, a_message_has_few_bytes_that_are_no_payload) {
  for (const std::uint32_t count : {2U, 3U, 4U, 8U}) {
    const TokenTraffic traffic = measure_speed(stories3m_shape(32), chips(count)).cluster.traffic;
    EXPECT_LE(traffic.overhead_bytes, 16.0);
    EXPECT_EQ(traffic.repeated_payload, 0);
  }
}

TEST(Speed, payload_through_a_ring_link) {
  const Image& image = stories3m_shape(32);
  const ModelConfig& c = image.config();
  for (std::size_t n = 2; n <= 8; ++n) {
    const TokenTraffic traffic = measure_speed(image, chips(n)).cluster.traffic;
    const double others = static_cast<double>(n - 1) / static_cast<double>(n);
    const double once = c.dim + 2 + 8.0 * static_cast<double>(n - 1);
    EXPECT_LE(traffic.mean_link_payload, 6.2 * c.dim * c.n_layers * others + once) << n;
    EXPECT_GE(traffic.mean_link_payload, 5.5 * c.dim * c.n_layers * others) << n;
    EXPECT_GE(traffic.link_payload, traffic.mean_link_payload);
  }
}

TEST(Speed, unequal_chips_share_by_weight) {
  SpeedOptions options = chips(3);
  options.weights = {4, 2, 2};
  const SpeedResult weighted = measure_speed(stories3m_shape(16), options);
  EXPECT_TRUE(weighted.is_identical);
  // Two chips' worth of speed in three, of which the fastest is the one to compare with.
  EXPECT_GT(weighted.speedup(), 1.4);
  EXPECT_LT(weighted.speedup(), 2);
}

TEST(Speed, a_slow_link_gains_nothing) {
  SpeedOptions options = chips(4, 4);
  options.link = parse_link("esp-now");
  const SpeedResult result = measure_speed(stories3m_shape(16), options);
  EXPECT_EQ(result.topology, Topology::broadcast);
  EXPECT_TRUE(result.is_identical);
  EXPECT_LT(result.speedup(), 1);
}

TEST(Speed, message_costs_and_contexts_change_time_but_no_token) {
  for (const bool on_cpu : {false, true}) {
    for (const bool single_context : {false, true}) {
      SpeedOptions options = chips(4, 6);
      options.message_cost_on_cpu = on_cpu;
      options.single_context = single_context;
      const SpeedResult result = measure_speed(stories3m_shape(16), options);
      EXPECT_TRUE(result.is_identical);
      EXPECT_GT(result.speedup(), 2.5);
    }
  }
}

TEST(Speed, faults_cost_time_but_no_token) {
  SpeedOptions options = chips(4, 6);
  const Image& image = stories3m_shape(16);
  const double smooth = measure_speed(image, options).cluster.tokens_per_s;
  options.faults.rates.drop = 0.002;
  options.faults.timed = {test::fault_of(FaultKind::flash, 2, 150, 0)};
  options.faults.timed[0].bit = image.bytes().size() * 4;
  const SpeedResult result = measure_speed(image, options);
  EXPECT_TRUE(result.is_identical);
  EXPECT_EQ(result.cluster.answer.sessions, 2U);
  EXPECT_LT(result.cluster.tokens_per_s, smooth);
}

TEST(Speed, reports_say_what_was_measured) {
  const SpeedOptions options = chips(2, 4);
  const SpeedResult result = measure_speed(stories3m_shape(32), options);
  const std::string text = format_speed_text(result, options, "a model");
  EXPECT_NE(text.find("tokens: identical to one chip"), std::string::npos) << text;
  EXPECT_NE(text.find("imbalance"), std::string::npos) << text;
  const std::string json = format_speed_json(result, options, "a model");
  EXPECT_NE(json.find("\"identical\": true"), std::string::npos) << json;
}

}  // namespace
}  // namespace mote::host
