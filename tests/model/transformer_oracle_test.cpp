// SPDX-License-Identifier: Apache-2.0
// Logits against a double-precision forward pass of the image's own weights: what integers cost.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mote/sampler.hpp"
#include "mote/tokenizer.hpp"
#include "support/double_model.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"
#include "support/oracle.hpp"
#include "support/running_model.hpp"

namespace mote {
namespace {

using test::Logits;
using test::ModelSpec;
using test::OpenImage;
using test::random_tokens;
using test::RunningModel;
using test::Tokens;

/// sqrt(sum (logit - exact)^2 / sum exact^2) over all logits after each of `tokens`.
double relative_rms_error(const Image& image, const Tokens& tokens) {
  const RunConfig run = {static_cast<std::uint32_t>(tokens.size()), 1, 1};
  RunningModel model(image, run);
  test::DoubleModel oracle(image);
  double squared_error = 0;
  double squared_logits = 0;
  for (const std::uint32_t token : tokens) {
    const Logits logits = model.logits_after({&token, 1});
    const std::vector<double> exact = oracle.forward(token);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double error = std::ldexp(logits[i], -kLogitFractionBits) - exact[i];
      squared_error += error * error;
      squared_logits += exact[i] * exact[i];
    }
  }
  return std::sqrt(squared_error / squared_logits);
}

struct Case {
  const char* name;
  double bound;  // of the relative rms error
  ModelSpec model;
};

std::vector<Case> make_cases() {
  std::vector<Case> cases(7);
  cases[0] = {"heads_of_8", 0.052, {}};
  cases[0].model.shape = {64, 172, 3, 8, 8, 8, 300, 64};

  cases[1] = {"grouped_heads_of_24_int4_own_classifier", 0.061, {}};
  cases[1].model.shape = {96, 250, 3, 4, 2, 24, 500, 64};
  cases[1].model.shape.has_classifier = true;
  cases[1].model.weights = WeightFormat::int4;

  // No dimension is a multiple of the block.
  cases[2] = {"grouped_heads_of_48_in_blocks_of_16", 0.073, {}};
  cases[2].model.shape = {90, 201, 4, 6, 2, 48, 101, 64};
  cases[2].model.shape.has_classifier = true;
  cases[2].model.block = 16;

  cases[3] = {"one_kv_head_of_64_int4_in_blocks_of_64", 0.065, {}};
  cases[3].model.shape = {128, 320, 2, 4, 1, 64, 261, 64};
  cases[3].model.weights = WeightFormat::int4;
  cases[3].model.block = 64;

  cases[4] = {"heads_of_2_int4_in_blocks_of_16", 0.039, {}};
  cases[4].model.shape = {34, 33, 2, 5, 5, 2, 40, 64};
  cases[4].model.weights = WeightFormat::int4;
  cases[4].model.block = 16;

  cases[5] = {"grouped_heads_of_16_with_biases", 0.024, {}};
  cases[5].model.shape = {96, 200, 3, 6, 2, 16, 300, 64};
  cases[5].model = test::with_biases(cases[5].model);

  // Nothing is a multiple of the block, and the residual stream has another unit.
  cases[6] = {"every_attention_with_biases_int4", 0.015, {}};
  cases[6].model = test::with_biases(
      test::mixed_model({test::window_of(5, 2), test::linear(test::kNoDecays), test::causal()}));
  cases[6].model.shape.dim = 90;
  cases[6].model.weights = WeightFormat::int4;
  return cases;
}

TEST(TransformerOracle, synthetic_models_are_within_the_stated_bounds) {
  for (const Case& c : make_cases()) {
    const OpenImage image(c.model);
    const double error =
        relative_rms_error(image.image(), random_tokens(image->config().vocab_size, 48));
    test::record(c.name, error);
    EXPECT_LE(error, c.bound) << c.name;
  }
}

/// The first 60 tokens of a text that all of the shared models know how to go on with.
Tokens story_tokens(const Image& image) {
  constexpr std::string_view kStory =
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the "
      "park. One day, she saw a big dog. The dog was very happy and wanted to play with her. Lily "
      "was scared at first, but then she smiled. They ran and jumped all day long.";
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(image.section_bytes(SectionKind::tokenizer)), Status::ok);
  Tokens tokens(Tokenizer::max_tokens(kStory.size()));
  Tokens scratch(tokens.size());
  std::size_t count = 0;
  EXPECT_EQ(tokenizer.encode(tokens, count, scratch, kStory), Status::ok);
  EXPECT_GE(count, 60U);
  tokens.resize(60);
  return tokens;
}

void expect_error_within(const test::SharedModel& model, WeightFormat weights, double bound) {
  const OpenImage image(convert_shared(model, weights));
  const double error = relative_rms_error(image.image(), story_tokens(image.image()));
  const std::string format = weights == WeightFormat::int8 ? "int8" : "int4";
  test::record(format + "_relative_rms_error", error);
  EXPECT_LE(error, bound) << model.model << " " << format;
}

TEST(TransformerOracle, stories260K_is_within_the_stated_bounds) {
  MOTE_SKIP_WITHOUT(missing_file(test::kStories260K));
  expect_error_within(test::kStories260K, WeightFormat::int8, 0.021);
  expect_error_within(test::kStories260K, WeightFormat::int4, 0.019);
}

TEST(TransformerOracle, babyllama_is_within_the_stated_bounds) {
  MOTE_SKIP_WITHOUT(missing_file(test::kBabyllama));
  expect_error_within(test::kBabyllama, WeightFormat::int8, 0.0135);
  expect_error_within(test::kBabyllama, WeightFormat::int4, 0.0137);
}

TEST(TransformerOracle, stories3M_is_within_the_stated_bounds) {
  MOTE_SKIP_WITHOUT(missing_file(test::kStories3M));
  expect_error_within(test::kStories3M, WeightFormat::int8, 0.030);
  expect_error_within(test::kStories3M, WeightFormat::int4, 0.029);
}

}  // namespace
}  // namespace mote
