// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "mote/partition.hpp"
#include "plan/plan_report.hpp"
#include "plan/token_exchanges.hpp"
#include "run/image_summary.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"
#include "support/shard_factory.hpp"

namespace mote::host {
namespace {

using test::ModelSpec;
using test::OpenImage;

/// Last blocks of the residual and of the hidden layer are not whole; 6 heads read 2.
ModelSpec odd_model() {
  ModelSpec model;
  model.shape = {90, 101, 3, 6, 2, 24, 300, 40};
  model.shape.has_classifier = true;
  model.weights = WeightFormat::int4;
  model.block = 16;
  return model;
}

/// The shape of stories260K.
ModelSpec even_model() {
  ModelSpec model;
  model.shape = {64, 172, 5, 8, 4, 8, 512, 512};
  model.block = 16;
  return model;
}

PlanOptions options_for(std::uint32_t chips, const std::string& link = "spi") {
  PlanOptions options;
  options.chips = chips;
  options.link = parse_link(link);
  return options;
}

Plan plan_of(const OpenImage& image, const PlanOptions& options) {
  return make_plan(image.image(), options, "m.mote");
}

std::string refusal(const OpenImage& image, const PlanOptions& options) {
  try {
    plan_of(image, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Plan, one_chip_holds_what_the_image_has) {
  for (const ModelSpec& model : {odd_model(), even_model(), test::with_biases(odd_model())}) {
    const OpenImage image(model);
    const Plan plan = plan_of(image, options_for(1));
    ASSERT_EQ(plan.chips.size(), 1U);
    const ChipMemory& memory = plan.chips[0].memory;
    EXPECT_EQ(memory.weight_bytes, summarize(image.image()).weight_bytes);
    const RunConfig run = {image->config().context_length, 1, 1};
    EXPECT_EQ(memory.arena_bytes, Transformer::arena_bytes(image.image(), run));
    EXPECT_EQ(plan.one_chip.total_bytes(), memory.total_bytes());
    EXPECT_DOUBLE_EQ(plan.token.speedup(), 1);
    EXPECT_EQ(plan.token.wire_us, 0);
    EXPECT_TRUE(plan.advice.empty());
  }
}

TEST(Plan, states_the_bytes_that_shards_hold_and_their_nodes_take) {
  const OpenImage image(test::with_biases(odd_model()));
  for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
    for (const std::vector<std::uint8_t>& weights :
         {std::vector<std::uint8_t>{1, 1}, {3, 1, 0, 2}, std::vector<std::uint8_t>(9, 1)}) {
      PlanOptions options = options_for(static_cast<std::uint32_t>(weights.size()));
      options.weights.assign(weights.begin(), weights.end());
      options.policy = policy;
      const Plan plan = plan_of(image, options);
      const test::Cut cut(image.image(), policy, weights);
      for (std::uint32_t rank = 0; rank < weights.size(); ++rank) {
        const test::Bytes shard = test::shard_bytes(image.image(), cut.info(image.image(), rank));
        const OpenImage part(shard);
        const ChipMemory& memory = plan.chips[rank].memory;
        EXPECT_EQ(memory.weight_bytes, summarize(part.image()).weight_bytes);
        NodeConfig wiring;
        wiring.topology = plan.topology;
        wiring.seats = static_cast<std::uint32_t>(plan.chips.size());
        EXPECT_EQ(memory.arena_bytes,
                  TensorParallelNode::arena_bytes(part.image(), wiring, plan.run, part->held()));
      }
    }
  }
}

TEST(Plan, four_equal_chips_hold_a_quarter_each) {
  const OpenImage image(even_model());
  const Plan plan = plan_of(image, options_for(4));
  for (const ChipPlan& chip : plan.chips) {
    EXPECT_EQ(chip.heads.count, 2U);
    EXPECT_EQ(chip.kv_heads, 1U);
    EXPECT_EQ(chip.residual_blocks.count, 1U);
    EXPECT_EQ(chip.vocabulary.count, 128U);
    EXPECT_EQ(chip.hidden_blocks.size(), 5U);
    EXPECT_FALSE(chip.holds_nothing());
    EXPECT_LE(double(chip.memory.weight_bytes), 0.30 * double(plan.one_chip.weight_bytes));
    EXPECT_EQ(chip.memory.state_bytes * 4, plan.one_chip.state_bytes);
  }
  EXPECT_GT(plan.one_chip.total_bytes(), 3 * plan.largest().total_bytes());
}

TEST(Plan, counts_the_payload_of_each_exchange) {
  const OpenImage image(odd_model());
  const Plan plan = plan_of(image, options_for(3));
  // 90 lanes in 6 blocks, 144 lanes of heads in 18 blocks of 8, 101 in 7; a scale of 2 bytes each.
  const std::uint64_t residual = 90 + 2 * 6;
  const std::uint64_t heads = 6 * 24 + 2 * 18;
  const std::uint64_t hidden = 101 + 2 * 7;
  const std::uint64_t row = 2 + 6 + 96 / 2;  // scale, factors, nibbles of 96 padded lanes
  const std::vector<std::pair<std::uint32_t, std::uint64_t>> expected = {
      {1, row},        {2, 2 * residual}, {3, 3 * heads}, {3, 3 * residual},
      {3, 3 * hidden}, {1, residual},     {1, 3 * 8}};
  ASSERT_EQ(plan.exchanges.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(plan.exchanges[i].count, expected[i].first) << i;
    EXPECT_EQ(plan.exchanges[i].payload_bytes, expected[i].second) << i;
  }
  EXPECT_EQ(token_phases(plan.config).size(), 14U);
}

TEST(Plan, every_chip_sends_at_least_one_message_an_exchange) {
  const OpenImage image(even_model());
  PlanOptions options = options_for(40, "esp-now");
  const Plan plan = plan_of(image, options);
  const std::uint64_t exchanges = token_phases(plan.config).size();
  for (const ChipPlan& chip : plan.chips) EXPECT_GE(chip.sent.messages, exchanges);
  EXPECT_EQ(plan.token.steps, 40 * exchanges);
}

TEST(Plan, small_frames_cut_shares_between_blocks) {
  ModelSpec model = even_model();
  model.shape.hidden_dim = 16 * 27;
  const OpenImage image(model);
  const Slice whole = Slice::whole(image->config());
  const auto share = [&](const std::string& link) {
    return exchange_shares(image.image(), {&whole, 1}, {Exchange::hidden, 0}, 1, parse_link(link))
        .at(0);
  };
  // 27 blocks of 18 bytes; 13 of them fit the 235 bytes that a frame of ESP-NOW leaves.
  EXPECT_EQ(share("esp-now").messages, 3U);
  EXPECT_EQ(share("esp-now").payload_bytes, 27U * 18);
  EXPECT_EQ(share("spi").messages, 1U);
}

TEST(Plan, the_ring_carries_what_the_bar_of_the_model_allows) {
  const OpenImage image(even_model());
  const ModelConfig& c = image->config();
  for (const std::uint32_t chips : {2U, 4U, 8U}) {
    const Plan plan = plan_of(image, options_for(chips));
    const double share = (chips - 1.0) / chips;
    const double vectors = 6.6 * c.dim * c.n_layers * share;
    EXPECT_LE(plan.token.mean_link_payload_bytes, vectors + (c.dim + 2) + 8.0 * chips);
    EXPECT_GE(double(plan.token.link_payload_bytes), plan.token.mean_link_payload_bytes);
    EXPECT_EQ(plan.token.all_reduce_bytes, std::uint64_t(16.0 * c.dim * c.n_layers * share));
  }
}

TEST(Plan, a_slow_link_is_called_slow) {
  const OpenImage image(even_model());
  const Plan slow = plan_of(image, options_for(4, "esp-now"));
  EXPECT_EQ(slow.topology, Topology::broadcast);
  EXPECT_LT(slow.token.speedup(), 1);
  ASSERT_EQ(slow.advice.size(), 1U);
  EXPECT_CONTAINS(slow.advice[0], "4 chips over ESP-NOW: 0.0");
  EXPECT_CONTAINS(slow.advice[0], " times one chip; use pipeline or a faster link");
  const Plan fast = plan_of(image, options_for(4, "1e9:0"));
  EXPECT_EQ(fast.topology, Topology::ring);
  EXPECT_GT(fast.token.speedup(), 3);
  EXPECT_TRUE(fast.advice.empty());
}

TEST(Plan, a_model_too_narrow_for_its_chips_is_told_of_smaller_blocks) {
  ModelSpec narrow = even_model();
  narrow.block = 32;
  const OpenImage image(narrow);
  const Plan plan = plan_of(image, options_for(8, "1e9:0"));
  ASSERT_FALSE(plan.advice.empty());
  EXPECT_CONTAINS(plan.advice.back(), "mote convert --block 16");
}

TEST(Plan, chips_that_are_no_faster_together_are_told_so_without_blaming_the_link) {
  const OpenImage image(even_model());
  PlanOptions options = options_for(2, "1e9:0");
  options.policy = HeadPolicy::round_robin;
  options.weights = {100, 1};
  const Plan plan = plan_of(image, options);
  ASSERT_EQ(plan.advice.size(), 1U);
  EXPECT_CONTAINS(plan.advice[0], "use contiguous heads or fewer chips");
  options.policy = HeadPolicy::contiguous;
  options.weights = {1, 0};
  const Plan lone = plan_of(image, options);
  ASSERT_EQ(lone.advice.size(), 2U);
  EXPECT_CONTAINS(lone.advice[0], "use fewer chips or a larger model");
  EXPECT_EQ(lone.advice[1], "1 of 2 chips hold nothing");
}

TEST(Plan, attention_that_forgets_costs_no_more_with_the_context) {
  ModelSpec causal = even_model();
  ModelSpec window = even_model();
  window.attention.assign(5, {AttentionKind::sliding_window, 16, 4, {}});
  ModelSpec linear = even_model();
  linear.attention.assign(5,
                          {AttentionKind::linear, 0, 0, std::vector<std::uint32_t>(4, 1U << 16)});
  const auto one_chip_us = [](const ModelSpec& model, std::uint32_t context) {
    const OpenImage image(model);
    PlanOptions options = options_for(2);
    options.run.context_length = context;
    return plan_of(image, options).token.one_chip_us;
  };
  EXPECT_GT(one_chip_us(causal, 512), one_chip_us(causal, 100));
  EXPECT_EQ(one_chip_us(window, 512), one_chip_us(window, 100));
  EXPECT_EQ(one_chip_us(linear, 512), one_chip_us(linear, 100));
  EXPECT_EQ(one_chip_us(window, 100), one_chip_us(causal, 40));  // 20 positions either way
}

TEST(Plan, memory_that_is_not_enough_is_refused_with_the_nearest_that_is) {
  const OpenImage image(even_model());
  const auto need = [&](std::uint32_t chips, bool weights_in_ram) {
    std::uint64_t most = 0;
    for (const ChipPlan& chip : plan_of(image, options_for(chips)).chips) {
      most = std::max(most, chip.memory.ram_bytes(weights_in_ram));
    }
    return most;
  };
  PlanOptions options = options_for(2);
  options.memory_bytes = need(4, false);
  const std::string text = refusal(image, options);
  EXPECT_CONTAINS(text, "m.mote: chip 0 of 2 needs ");
  EXPECT_CONTAINS(text, "(its arena)");
  EXPECT_CONTAINS(text, std::to_string(need(2, false) - need(4, false)) + " more than it has");
  EXPECT_CONTAINS(text, "mote plan -m m.mote --chips ");
  options.chips = 4;
  EXPECT_EQ(plan_of(image, options).chips.size(), 4U);

  options.weights_in_ram = true;
  options.memory_bytes = need(8, true);
  const std::string in_ram = refusal(image, options);
  EXPECT_CONTAINS(in_ram, " + weights ");
  EXPECT_CONTAINS(in_ram, "chips fit: mote plan -m m.mote --chips ");
  EXPECT_CONTAINS(in_ram, " --weights-in-ram");

  options.memory_bytes = 100;
  EXPECT_CONTAINS(refusal(image, options), "no number of chips fits; the least need is ");
}

TEST(Plan, equal_chips_are_proposed_where_one_of_unequal_ones_is_too_small) {
  const OpenImage image(even_model());
  PlanOptions options = options_for(64);
  options.weights = std::vector<std::uint32_t>(64, 1);
  options.weights[5] = 255;
  options.memory_bytes = 100000;
  const std::string text = refusal(image, options);
  EXPECT_CONTAINS(text, "chip 5 of 64 needs ");
  EXPECT_CONTAINS(text, "64 chips fit: mote plan -m m.mote --chips 64 --memory 100000");
}

TEST(Plan, splits_that_cannot_be_are_refused_with_the_reason) {
  const OpenImage image(even_model());
  EXPECT_CONTAINS(refusal(image, options_for(0)), "1 to 64 chips; the nearest is 1");
  EXPECT_CONTAINS(refusal(image, options_for(65)), "1 to 64 chips; the nearest is 64");
  PlanOptions options = options_for(4);
  options.weights = {2, 1, 1};
  EXPECT_EQ(refusal(image, options), "3 weights were given for 4 chips: one a chip, or --chips 3");
  options.weights = {1, 1, 256, 1};
  EXPECT_EQ(refusal(image, options), "chip 2 has weight 256: must be 0 to 255");
  options.weights = {0, 0, 0, 0};
  EXPECT_CONTAINS(refusal(image, options), "all chips have weight 0");
  options = options_for(4);
  options.run.context_length = 513;
  EXPECT_CONTAINS(refusal(image, options), "m.mote: a context of 513 positions");
  options = options_for(4);
  options.run.candidates = 513;
  EXPECT_CONTAINS(refusal(image, options), "513 candidates");
  options = options_for(4);
  options.run.batch = 65;
  EXPECT_CONTAINS(refusal(image, options), "a batch of 65");
  options = options_for(4, "esp-now");
  options.topology = Topology::ring;
  EXPECT_CONTAINS(refusal(image, options), "the topology is broadcast");
}

TEST(Plan, a_shard_is_no_model_to_plan_with) {
  const OpenImage image(even_model());
  const test::Cut cut(image.image(), HeadPolicy::contiguous, {1, 1});
  const OpenImage shard(test::shard_bytes(image.image(), cut.info(image.image(), 1)));
  EXPECT_CONTAINS(refusal(shard, options_for(2)), "one chip's part");
}

TEST(ParseLink, knows_presets_and_numbers) {
  EXPECT_EQ(link_presets().size(), 4U);
  for (const LinkCard& preset : link_presets()) {
    EXPECT_EQ(parse_link(preset.name).title, preset.title);
  }
  EXPECT_EQ(parse_link("esp-now").max_frame_bytes, 250U);
  const LinkCard link = parse_link("2.5e6:12.5");
  EXPECT_EQ(link.bytes_per_s, 2.5e6);
  EXPECT_EQ(link.message_us, 12.5);
  for (const char* text :
       {"", "usb", "5:", ":5", "0:1", "-1:1", "1:-1", "nan:1", "1:inf", "1:2x"}) {
    EXPECT_THROW(parse_link(text), Error) << text;
  }
}

TEST(PlanReport, text_says_who_holds_what) {
  const OpenImage image(even_model());
  PlanOptions options = options_for(4);
  const std::string text = format_plan_text(plan_of(image, options), "m.mote");
  EXPECT_CONTAINS(text, "m.mote: 4 chips, contiguous heads, ring over SPI (5000000 bytes/s, 50 us");
  EXPECT_CONTAINS(text, "vocabulary rows");
  EXPECT_CONTAINS(text, "   0      1            0-1         1            2-3               0");
  EXPECT_CONTAINS(text, "one chip");
  EXPECT_CONTAINS(text, "computed for position 255");
  EXPECT_CONTAINS(text, "times one chip");
  options.policy = HeadPolicy::round_robin;
  EXPECT_CONTAINS(format_plan_text(plan_of(image, options), "m.mote"), " 1,5 ");
}

TEST(PlanReport, json_has_the_numbers_of_the_plan) {
  const OpenImage image(even_model());
  const Plan plan = plan_of(image, options_for(3, "esp-now"));
  const auto json = nlohmann::json::parse(format_plan_json(plan, "m.mote"));
  EXPECT_EQ(json["chips"].size(), 3U);
  EXPECT_EQ(json["topology"], "broadcast");
  EXPECT_EQ(json["chips"][1]["memory"]["weight_bytes"], plan.chips[1].memory.weight_bytes);
  EXPECT_EQ(json["chips"][2]["hidden_blocks"].size(), 5U);
  EXPECT_EQ(json["chips"][2]["messages_per_token"], plan.chips[2].sent.messages);
  EXPECT_EQ(json["token"]["basis"], "computed");
  EXPECT_EQ(json["token"]["speedup"], plan.token.speedup());
  EXPECT_EQ(json["token"]["exchanges"].size(), 7U);
  EXPECT_EQ(json["advice"], plan.advice);
  EXPECT_FALSE(plan.advice.empty());
}

}  // namespace
}  // namespace mote::host
