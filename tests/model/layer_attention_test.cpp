// SPDX-License-Identifier: Apache-2.0
// What no mixture of attention kinds may change: batches, resets, the arena's contents; and what
// follows from positions that are forgotten. The arithmetic is held against double precision in
// layer_attention_oracle_test.cpp.
#include "model/layer_attention.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/mixed_models.hpp"
#include "support/running_model.hpp"

namespace mote {
namespace {

using test::causal;
using test::kDecays;
using test::kMixedContext;
using test::kNoDecays;
using test::linear;
using test::Logits;
using test::mixed_model;
using test::OpenImage;
using test::random_tokens;
using test::RunningModel;
using test::Tokens;
using test::window_of;

/// The windows are shorter than a batch of 8 tokens, and than the stream many times over.
std::vector<OpenImage> open_images(const std::vector<std::vector<host::LayerAttention>>& mixtures) {
  std::vector<OpenImage> images;
  for (const auto& attention : mixtures) images.emplace_back(mixed_model(attention));
  return images;
}
const std::vector<OpenImage>& endless_images() {
  static const auto kImages = open_images({{window_of(5, 0), window_of(6, 3)},
                                           {linear(kNoDecays), linear(kDecays)},
                                           {window_of(7, 2), linear(kDecays), window_of(7, 2)}});
  return kImages;
}
const std::vector<OpenImage>& bounded_images() {
  static const auto kImages = open_images({{causal(), window_of(6, 3)},
                                           {linear(kDecays), causal()},
                                           {causal(), window_of(7, 2), linear(kDecays)}});
  return kImages;
}
std::vector<const OpenImage*> all_images() {
  std::vector<const OpenImage*> images;
  for (const auto* some : {&endless_images(), &bounded_images()}) {
    for (const OpenImage& image : *some) images.push_back(&image);
  }
  return images;
}

std::span<const std::uint32_t> part(const Tokens& tokens, std::size_t first, std::size_t count) {
  return std::span(tokens).subspan(first, count);
}
Tokens tokens_for(const OpenImage& image, std::size_t count = kMixedContext) {
  return random_tokens(image->config().vocab_size, count);
}

TEST(LayerAttention, chooses_the_memory_of_its_kind) {
  const AttentionShape shape = {4, 2, 16, 50};
  const std::uint32_t decays[] = {65536, 65536};
  const LayerAttentionConfig window = {AttentionKind::sliding_window, 7, 3, nullptr};
  const LayerAttentionConfig linear_config = {AttentionKind::linear, 0, 0, decays};
  EXPECT_EQ(LayerAttention::state_bytes({}, shape), CausalAttention::state_bytes(shape));
  EXPECT_EQ(LayerAttention::state_bytes(window, shape),
            SlidingWindowAttention::state_bytes({4, 2, 16, 7, 3}));
  EXPECT_EQ(LayerAttention::state_bytes(linear_config, shape),
            LinearAttention::state_bytes({4, 2, 16}));
  EXPECT_EQ(LayerAttention::scratch_count({}, shape), 50U);
  EXPECT_EQ(LayerAttention::scratch_count(window, shape), 10U);
  EXPECT_EQ(LayerAttention::scratch_count(linear_config, shape), 0U);
}

TEST(LayerAttention, asks_sinks_from_no_further_than_right_before_the_window) {
  const AttentionShape shape = {1, 1, 4, 8};
  const auto turned = [&](const LayerAttentionConfig& config, std::uint32_t position) {
    std::vector<std::byte> state(LayerAttention::state_bytes(config, shape));
    return LayerAttention(config, shape, state).sink_query_position(position);
  };
  const LayerAttentionConfig window = {AttentionKind::sliding_window, 7, 3, nullptr};
  for (const std::uint32_t position : {0U, 6U, 7U, 9U}) {
    EXPECT_EQ(turned(window, position), position);
  }
  for (const std::uint32_t position : {10U, 11U, 4096U, 0xfffffffeU}) {
    EXPECT_EQ(turned(window, position), 9U);
  }
  const LayerAttentionConfig no_sinks = {AttentionKind::sliding_window, 7, 0, nullptr};
  EXPECT_EQ(turned(no_sinks, 4096), 4096U);
  EXPECT_EQ(turned({}, 7), 7U);
}

TEST(LayerAttention, every_batch_gives_the_same_bits) {
  for (const OpenImage* image : all_images()) {
    const Tokens tokens = tokens_for(*image);
    const auto expected =
        RunningModel(image->image(), {kMixedContext, 1, 1}).logits_after_each(tokens);
    for (const std::uint32_t batch : {1U, 3U, 8U, 64U}) {
      RunningModel model(image->image(), {kMixedContext, batch, 1});
      ASSERT_EQ(model.logits_after(part(tokens, 0, 70)), expected[69]) << "batch " << batch;
      for (std::size_t i = 70; i < tokens.size(); ++i) {
        ASSERT_EQ(model.logits_after(part(tokens, i, 1)), expected[i]) << "batch " << batch;
      }
    }
  }
}

TEST(LayerAttention, a_reset_gives_the_same_bits_again) {
  for (const OpenImage* image : all_images()) {
    const Tokens tokens = tokens_for(*image);
    RunningModel model(image->image(), {kMixedContext, 8, 1});
    const auto expected = model.logits_after_each(part(tokens, 0, 40));
    model.decode(part(tokens, 40, 50));
    model->reset();
    EXPECT_EQ(model->position(), 0U);
    EXPECT_EQ(model.logits_after_each(part(tokens, 0, 40)), expected);
    model.rewind(0);
    EXPECT_EQ(model.logits_after(part(tokens, 0, 40)), expected.back());
  }
}

TEST(LayerAttention, rewinding_to_what_is_forgotten_changes_nothing) {
  for (const OpenImage* image : all_images()) {
    const Tokens tokens = tokens_for(*image);
    RunningModel undisturbed(image->image(), {kMixedContext, 8, 1});
    undisturbed.decode(part(tokens, 0, 40));
    const Logits before = undisturbed.logits();
    const Logits after = undisturbed.logits_after(part(tokens, 40, 5));
    RunningModel model(image->image(), {kMixedContext, 8, 1});
    model.decode(part(tokens, 0, 40));
    for (const std::uint32_t position : {1U, 20U, 38U, 39U}) {
      EXPECT_EQ(model->rewind(position), Status::cannot_rewind);
      EXPECT_EQ(model->position(), 40U);
      EXPECT_EQ(model.logits(), before);
    }
    EXPECT_EQ(model->rewind(40), Status::ok);
    EXPECT_EQ(model->position(), 40U);
    EXPECT_EQ(model.logits_after(part(tokens, 40, 5)), after);
  }
}

TEST(LayerAttention, only_causal_layers_end_with_the_context) {
  for (const OpenImage& image : bounded_images()) {
    const Tokens tokens = tokens_for(image, 31);
    RunningModel model(image.image(), {30, 8, 1});
    EXPECT_EQ(model->position_limit(), 30U);
    EXPECT_EQ(model->decode(tokens), Status::context_full);
    EXPECT_EQ(model->position(), 0U);
    EXPECT_EQ(model->decode(part(tokens, 0, 30)), Status::ok);
    EXPECT_EQ(model->decode(part(tokens, 0, 1)), Status::context_full);
  }
  for (const OpenImage& image : endless_images()) {
    const Tokens tokens = tokens_for(image, 10 * kMixedContext);
    RunningModel model(image.image(), {1, 8, 1});
    EXPECT_EQ(model->position_limit(), 0xffffffffU);
    EXPECT_EQ(model->decode(tokens), Status::ok);
    EXPECT_EQ(model->position(), tokens.size());
  }
}

TEST(LayerAttention, no_context_length_of_the_run_changes_a_bit) {
  for (const OpenImage& image : endless_images()) {
    const Tokens tokens = tokens_for(image, 2 * kMixedContext);
    const Logits expected = RunningModel(image.image(), {kMixedContext, 8, 1}).logits_after(tokens);
    for (const std::uint32_t context : {1U, 7U, 95U}) {
      EXPECT_EQ(RunningModel(image.image(), {context, 8, 1}).logits_after(tokens), expected);
    }
  }
}

/// Sinks that are outside the window but no further away than sinks + window are asked from the
/// true position.
TEST(LayerAttention, a_window_as_long_as_the_text_equals_the_causal_model) {
  const OpenImage reference(mixed_model({causal(), causal()}));
  const Tokens tokens = tokens_for(reference);
  const auto expected =
      RunningModel(reference.image(), {kMixedContext, 1, 1}).logits_after_each(tokens);
  for (const std::uint32_t sinks : {0U, 1U, 4U, 64U}) {
    const auto window = window_of(kMixedContext - sinks, sinks);
    for (const auto& other : {window, causal()}) {
      const OpenImage image(mixed_model({window, other}));
      RunningModel model(image.image(), {kMixedContext, 8, 1});
      EXPECT_EQ(model.logits_after_each(tokens), expected) << sinks << " sinks";
    }
  }
}

/// A window that is one position too short for the last token.
TEST(LayerAttention, a_shorter_window_does_not_equal_the_causal_model) {
  const OpenImage reference(mixed_model({causal()}));
  const OpenImage image(mixed_model({window_of(kMixedContext - 5, 4)}));
  const Tokens tokens = tokens_for(reference);
  RunningModel whole(reference.image(), {kMixedContext, 8, 1});
  RunningModel model(image.image(), {kMixedContext, 8, 1});
  const auto all_but_one = part(tokens, 0, kMixedContext - 1);
  EXPECT_EQ(model.logits_after(all_but_one), whole.logits_after(all_but_one));
  EXPECT_NE(model.logits_after(part(tokens, kMixedContext - 1, 1)),
            whole.logits_after(part(tokens, kMixedContext - 1, 1)));
}

TEST(LayerAttention, no_byte_that_the_arena_held_before_changes_a_bit) {
  for (const OpenImage* image : all_images()) {
    const RunConfig run = {kMixedContext, 8, 1};
    const Tokens tokens = tokens_for(*image);
    const Logits expected = RunningModel(image->image(), run).logits_after(tokens);
    for (const int filling : {0x01, 0x7f, 0x80, 0xff}) {
      RunningModel model(image->image(), run, std::byte(filling));
      EXPECT_EQ(model.logits_after(tokens), expected) << filling;
    }
  }
}

TEST(LayerAttention, states_are_the_sum_of_the_layers) {
  const AttentionShape shape = {4, 2, 16, 33};
  const std::size_t causal_bytes = CausalAttention::state_bytes(shape);
  const std::size_t window_bytes = SlidingWindowAttention::state_bytes({4, 2, 16, 7, 2});
  const std::size_t linear_bytes = LinearAttention::state_bytes({4, 2, 16});
  const OpenImage image(mixed_model({causal(), window_of(7, 2), linear(kDecays), window_of(7, 2)}));
  EXPECT_EQ(Transformer::state_bytes(image.image(), {33, 8, 1}, Slice::whole(image->config())),
            causal_bytes + 2 * window_bytes + linear_bytes);
}

TEST(LayerAttention, memory_does_not_grow_with_the_context_without_causal_layers) {
  const auto bytes = [](const OpenImage& image, std::uint32_t context) {
    return Transformer::arena_bytes(image.image(), {context, 8, 1});
  };
  for (const OpenImage& image : endless_images()) {
    for (const std::uint32_t context : {2U, 17U, kMixedContext}) {
      EXPECT_EQ(bytes(image, context), bytes(image, 1));
      const Slice whole = Slice::whole(image->config());
      EXPECT_EQ(Transformer::state_bytes(image.image(), {context, 8, 1}, whole),
                Transformer::state_bytes(image.image(), {1, 8, 1}, whole));
    }
  }
  for (const OpenImage& image : bounded_images()) {
    EXPECT_GT(bytes(image, kMixedContext), bytes(image, 17));
  }
}

/// 16 bytes, as aligned as an arena must be.
struct alignas(kArenaAlignment) Unit {
  std::byte bytes[kArenaAlignment];
};

TEST(LayerAttention, the_stated_arena_is_exact_and_nothing_outside_it_is_written) {
  constexpr std::size_t kGuard = 256;
  constexpr std::byte kMark{0xa7};
  for (const OpenImage* image : all_images()) {
    for (const RunConfig& run : {RunConfig{kMixedContext, 1, 1}, RunConfig{kMixedContext, 64, 5}}) {
      const std::size_t bytes = Transformer::arena_bytes(image->image(), run);
      std::vector<Unit> memory((bytes + 2 * kGuard) / sizeof(Unit));
      const auto all = std::as_writable_bytes(std::span(memory));
      std::ranges::fill(all, kMark);
      const auto arena = all.subspan(kGuard, bytes);
      Transformer model;
      EXPECT_EQ(model.init(image->image(), run, arena.first(bytes - 1)), Status::arena_too_small);
      ASSERT_EQ(model.init(image->image(), run, arena), Status::ok);
      ASSERT_EQ(model.decode(tokens_for(*image)), Status::ok);
      const auto is_mark = [](std::byte byte) { return byte == kMark; };
      EXPECT_TRUE(std::ranges::all_of(all.first(kGuard), is_mark));
      EXPECT_TRUE(std::ranges::all_of(all.last(kGuard), is_mark));
    }
  }
}

}  // namespace
}  // namespace mote
