// SPDX-License-Identifier: Apache-2.0
// Any number of threads gives the logits, the candidates and the errors of one transformer.
#include "run/parallel_transformer.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/error.hpp"
#include "support/mixed_models.hpp"
#include "support/running_model.hpp"

namespace mote::host {
namespace {

using test::ModelSpec;
using test::OpenImage;

constexpr std::uint32_t kVocabulary = 67;

/// Rows that fill no block, heads of a size that is no power of two.
ModelSpec small_model(WeightFormat weights) {
  ModelSpec spec;
  spec.shape = {90, 101, 3, 6, 2, 24, kVocabulary, 40};
  spec.block = 16;
  spec.weights = weights;
  return spec;
}

struct Output {
  std::vector<std::int32_t> logits;
  std::vector<std::uint32_t> tokens;

  bool operator==(const Output&) const = default;
};

/// A prompt of more than one batch, then the best tokens.
Output run(const Image& image, std::uint32_t threads) {
  ParallelTransformer model(image, {40, 8, 5, 64}, threads, "model");
  const test::Tokens prompt = test::random_tokens(kVocabulary, 19);
  Sampler sampler;
  Output output;
  EXPECT_EQ(model.decode(prompt), Status::ok);
  for (int i = 0; i < 6; ++i) {
    const auto best = model.candidates(sampler);
    EXPECT_EQ(best.size(), 5U);
    for (const Candidate& candidate : best) output.tokens.push_back(candidate.token);
    const std::uint32_t token = best[0].token;
    EXPECT_EQ(model.decode({&token, 1}), Status::ok);
  }
  EXPECT_EQ(model.position(), 25U);
  output.logits.resize(kVocabulary);
  model.logits(output.logits);
  return output;
}

void expect_same_for_threads(const ModelSpec& spec) {
  const OpenImage image(spec);
  const Output expected = run(image.image(), 1);
  for (const std::uint32_t threads : {2U, 3U, 4U, 7U, 16U, 64U}) {
    EXPECT_EQ(run(image.image(), threads), expected) << threads << " threads";
  }
}

TEST(ParallelTransformer, int8) {
  expect_same_for_threads(small_model(WeightFormat::int8));
}

TEST(ParallelTransformer, int4) {
  expect_same_for_threads(small_model(WeightFormat::int4));
}

TEST(ParallelTransformer, every_kind_of_attention) {
  expect_same_for_threads(
      test::mixed_model({test::causal(), test::window_of(9, 2), test::linear(test::kDecays)}));
}

TEST(ParallelTransformer, one_thread_is_a_transformer) {
  const OpenImage image(small_model(WeightFormat::int8));
  const RunConfig config = {40, 8, 1};
  ParallelTransformer model(image.image(), config, 1, "model");
  EXPECT_EQ(model.arena_bytes(), Transformer::arena_bytes(image.image(), config));
  const test::Tokens prompt = test::random_tokens(kVocabulary, 12);
  ASSERT_EQ(model.decode(prompt), Status::ok);
  std::vector<std::int32_t> logits(kVocabulary);
  model.logits(logits);
  EXPECT_EQ(logits, test::RunningModel(image.image(), config).logits_after(prompt));
}

TEST(ParallelTransformer, errors_change_nothing) {
  const OpenImage image(small_model(WeightFormat::int8));
  for (const std::uint32_t threads : {1U, 3U}) {
    ParallelTransformer model(image.image(), {10, 4, 1}, threads, "model");
    const test::Tokens prompt = test::random_tokens(kVocabulary, 8);
    ASSERT_EQ(model.decode(prompt), Status::ok);
    EXPECT_EQ(model.decode(std::span(prompt).first(3)), Status::context_full);
    const std::uint32_t unknown = kVocabulary;
    EXPECT_EQ(model.decode({&unknown, 1}), Status::token_out_of_range);
    EXPECT_EQ(model.position(), 8U);
    EXPECT_EQ(model.rewind(3), Status::ok);
    EXPECT_EQ(model.position(), 3U);
    model.reset();
    EXPECT_EQ(model.position(), 0U);
  }
  EXPECT_THROW(ParallelTransformer(image.image(), {99, 1, 1}, 2, "model"), Error);
}

}  // namespace
}  // namespace mote::host
