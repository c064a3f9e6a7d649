// SPDX-License-Identifier: Apache-2.0
// The phases carry the split by rows: chips that exchange blocks give the logits of one chip.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "mote/transformer.hpp"
#include "support/image_factory.hpp"
#include "support/running_model.hpp"
#include "support/sliced_model.hpp"

namespace mote {
namespace {

using test::Logits;
using test::ModelSpec;
using test::OpenImage;
using test::random_tokens;
using test::RunningModel;
using test::Tokens;

/// The last block of the residual and of the hidden layer are not whole.
ModelSpec grouped_model() {
  ModelSpec model;
  model.shape = {90, 101, 2, 6, 2, 24, 67, 40};
  model.shape.has_classifier = true;
  model.block = 16;
  return model;
}

ModelSpec multi_head_model() {
  ModelSpec model;
  model.shape = {128, 172, 2, 8, 8, 8, 300, 40};
  model.weights = WeightFormat::int4;
  return model;
}

void expect_equal_to_whole(const Image& image, const std::vector<Slice>& slices,
                           std::uint32_t batch) {
  const RunConfig run = {40, batch, 5};
  const Tokens tokens = random_tokens(image.config().vocab_size, 3 * batch + 2);
  RunningModel whole(image, run);
  test::SlicedModel cluster(image, run, slices);
  for (std::size_t first = 0; first < tokens.size(); first += batch) {
    const auto part =
        std::span(tokens).subspan(first, std::min<std::size_t>(batch, tokens.size() - first));
    cluster.pass(part);
    ASSERT_EQ(cluster.logits(), whole.logits_after(part)) << "at position " << first;
    ASSERT_EQ(cluster.chip(0).position(), whole->position());
  }
  Sampler sampler;
  const auto best = whole->candidates(sampler);
  const auto gathered = cluster.candidates();
  for (std::size_t i = 0; i < best.size(); ++i) {
    EXPECT_EQ(gathered[i].token, best[i].token);
    EXPECT_EQ(gathered[i].logit, best[i].logit);
  }
}

TEST(TransformerSlice, any_split_gives_the_logits_of_one_chip) {
  const std::vector<std::uint32_t> kWeights[] = {
      {1}, {1, 1}, {1, 2}, {5, 1}, {1, 1, 1}, {3, 1, 2, 1}, {1, 1, 1, 1, 1, 1}};
  for (const ModelSpec& model : {grouped_model(), multi_head_model()}) {
    const OpenImage image(model);
    for (const auto& weights : kWeights) {
      expect_equal_to_whole(image.image(), test::split(image->config(), weights), 1);
      expect_equal_to_whole(image.image(), test::split(image->config(), weights), 4);
    }
  }
}

TEST(TransformerSlice, a_group_of_heads_may_span_chips) {
  const OpenImage image(grouped_model());
  std::vector<Slice> slices = test::split(image->config(), {1, 1, 1});
  // Three query heads read one K/V head; the cuts leave each group on two chips.
  slices[0].heads = {0, 1};
  slices[1].heads = {1, 4};
  slices[2].heads = {5, 1};
  expect_equal_to_whole(image.image(), slices, 3);
}

TEST(TransformerSlice, heads_of_a_chip_need_not_lie_side_by_side) {
  const OpenImage image(grouped_model());
  for (const std::uint32_t chips : {2U, 4U}) {
    std::vector<Slice> slices = test::split(image->config(), std::vector<std::uint32_t>(chips, 1));
    for (std::uint32_t chip = 0; chip < chips; ++chip) {
      slices[chip].heads = {chip, (6 - chip + chips - 1) / chips, chips};
    }
    expect_equal_to_whole(image.image(), slices, 1);
    expect_equal_to_whole(image.image(), slices, 3);
  }
}

TEST(TransformerSlice, a_chip_may_own_nothing_of_a_kind) {
  const OpenImage image(grouped_model());
  std::vector<Slice> slices = test::split(image->config(), {1, 1});
  const Slice whole = Slice::whole(image->config());
  slices[0].heads = whole.heads;
  slices[1].heads = {6, 0};
  expect_equal_to_whole(image.image(), slices, 2);
  slices[0].residual_blocks = {0, 0};
  slices[1].residual_blocks = whole.residual_blocks;
  expect_equal_to_whole(image.image(), slices, 2);
  slices[0].hidden_blocks = whole.hidden_blocks;
  slices[1].hidden_blocks = {7, 0};
  expect_equal_to_whole(image.image(), slices, 2);
  slices[0].vocabulary = {0, 0};
  slices[1].vocabulary = whole.vocabulary;
  expect_equal_to_whole(image.image(), slices, 2);
}

TEST(TransformerSlice, a_slice_needs_less_memory_than_the_whole) {
  const OpenImage image(multi_head_model());
  const RunConfig run = {40, 1, 1};
  const std::size_t whole = Transformer::arena_bytes(image.image(), run);
  std::size_t previous = whole;
  for (const std::uint32_t chips : {2U, 4U}) {
    const auto slices = test::split(image->config(), std::vector<std::uint32_t>(chips, 1));
    const std::size_t bytes = Transformer::arena_bytes(image.image(), run, slices[0]);
    EXPECT_LT(bytes, previous);
    previous = bytes;
    // Keys and values are split without a rest.
    const AttentionShape shape = {8, 8, 8, 40};
    const std::size_t kv = 2 * CausalAttention::state_bytes(shape);
    EXPECT_GE(whole - bytes, kv - kv / chips);
  }
}

}  // namespace
}  // namespace mote
