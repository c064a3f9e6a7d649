// SPDX-License-Identifier: Apache-2.0
// Chips that share the rows of a mixed model give the logits of one chip: each must take the decays
// of its own K/V heads and keep rings and sums of no other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/mixed_models.hpp"
#include "support/running_model.hpp"
#include "support/sliced_model.hpp"

namespace mote {
namespace {

using test::causal;
using test::linear;
using test::ModelSpec;
using test::OpenImage;
using test::window_of;

constexpr std::uint32_t kContext = 40;

/// Six query heads read three K/V heads, each of which forgets at its own pace.
ModelSpec three_kv_heads(std::vector<host::LayerAttention> attention) {
  ModelSpec model = test::mixed_model(std::move(attention), kContext);
  model.shape.dim = 90;
  model.shape.n_heads = 6;
  model.shape.n_kv_heads = 3;
  model.block = 16;
  return model;
}

const host::LayerAttention kForgetting = linear({65536, 60000, 20000});

std::vector<ModelSpec> mixtures() {
  return {three_kv_heads({kForgetting}), three_kv_heads({window_of(7, 2), kForgetting}),
          three_kv_heads({causal(), window_of(7, 2), kForgetting})};
}

void expect_equal_to_whole(const Image& image, const std::vector<Slice>& slices,
                           std::uint32_t batch) {
  const RunConfig run = {kContext, batch, 1};
  const auto tokens = test::random_tokens(image.config().vocab_size, kContext);
  test::RunningModel whole(image, run);
  test::SlicedModel chips(image, run, slices);
  for (std::size_t first = 0; first < tokens.size(); first += batch) {
    const auto part =
        std::span(tokens).subspan(first, std::min<std::size_t>(batch, tokens.size() - first));
    chips.pass(part);
    ASSERT_EQ(chips.logits(), whole.logits_after(part)) << "at position " << first;
  }
}

/// Shares of six query heads: cuts between K/V heads, within their groups, and a chip without
/// heads.
const std::vector<std::uint32_t> kShares[] = {{6},    {2, 4},    {4, 2},    {1, 5},
                                              {3, 3}, {2, 2, 2}, {1, 4, 1}, {1, 1, 1, 1, 1, 1},
                                              {0, 6}, {6, 0},    {2, 0, 4}};

TEST(LayerAttentionSlice, any_split_gives_the_logits_of_one_chip) {
  for (const ModelSpec& model : mixtures()) {
    const OpenImage image(model);
    for (const auto& shares : kShares) {
      for (const std::uint32_t batch : {1U, 9U}) {
        expect_equal_to_whole(image.image(), test::split(image->config(), shares), batch);
      }
    }
  }
}

TEST(LayerAttentionSlice, states_are_split_without_a_rest) {
  for (const ModelSpec& model : mixtures()) {
    const OpenImage image(model);
    const RunConfig run = {kContext, 1, 1};
    std::size_t sum = 0;
    for (const Slice& slice : test::split(image->config(), {2, 2, 2})) {
      sum += Transformer::state_bytes(image.image(), run, slice);
    }
    const std::size_t whole =
        Transformer::state_bytes(image.image(), run, Slice::whole(image->config()));
    // Each part of a state is rounded up to 16 bytes, on every chip anew.
    const std::size_t rounding = std::size_t{4} * kArenaAlignment * model.shape.n_layers * 3;
    EXPECT_GE(sum, whole);
    EXPECT_LE(sum, whole + rounding);
  }
}

}  // namespace
}  // namespace mote
