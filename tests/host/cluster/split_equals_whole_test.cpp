// SPDX-License-Identifier: Apache-2.0
// The promise split_equals_whole: any number of chips, any cut, any topology gives the tokens and
// the logits of one chip, bit for bit. Here on synthetic models; split_equals_whole_slow_test.cpp
// has the shared ones.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/mixed_models.hpp"
#include "support/split_answer.hpp"

namespace mote::host {
namespace {

using test::Answer;
using test::ModelSpec;
using test::OpenImage;
using test::Tokens;

constexpr std::uint32_t kVocabulary = 67;
constexpr std::uint32_t kAnswer = 4;
constexpr Topology kTopologies[] = {Topology::ring, Topology::star, Topology::broadcast};
constexpr HeadPolicy kPolicies[] = {HeadPolicy::contiguous, HeadPolicy::round_robin};

/// Rows that fill no block, heads of a size that is no power of two, a classifier of its own.
ModelSpec small_model(WeightFormat weights) {
  ModelSpec spec;
  spec.shape = {90, 101, 2, 6, 2, 24, kVocabulary, 40};
  spec.shape.has_classifier = weights == WeightFormat::int8;
  spec.block = 16;
  spec.weights = weights;
  return spec;
}

/// Tokens and all logits of `image` after a prompt of 11 tokens.
Answer answer_of(const Image& image, const RunConfig& run) {
  const Tokens prompt = test::random_tokens(image.config().vocab_size, 11);
  return test::answer_of_one(image, run, prompt, test::penalized_sampling(), kAnswer);
}

void expect_equal(const std::vector<const Image*>& images, const InProcessOptions& options,
                  const Answer& expected) {
  SCOPED_TRACE(testing::Message() << images.size() << " chips, topology " << int(options.topology)
                                  << ", policy " << int(options.policy) << ", batch "
                                  << options.run.batch << ", frames " << options.frame_bytes);
  test::expect_split_equals_whole(images, options, expected, test::penalized_sampling());
}

/// 1 to 16 chips, both policies, every topology, batches of 1 and of 8.
void expect_whole_images_equal(const Image& image) {
  for (const std::uint32_t batch : {1U, 8U}) {
    InProcessOptions options;
    options.run = {40, batch, image.config().vocab_size};
    const Answer expected = answer_of(image, options.run);
    for (std::uint32_t chips = 1; chips <= 16; ++chips) {
      for (const HeadPolicy policy : kPolicies) {
        for (const Topology topology : kTopologies) {
          options.topology = topology;
          options.policy = policy;
          options.frame_bytes = (chips + batch) % 2 == 0 ? 250 : 512;
          expect_equal(std::vector<const Image*>(chips, &image), options, expected);
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(SplitEqualsWhole, whole_images_int8) {
  const OpenImage image(small_model(WeightFormat::int8));
  expect_whole_images_equal(image.image());
}

TEST(SplitEqualsWhole, whole_images_int4) {
  const OpenImage image(small_model(WeightFormat::int4));
  expect_whole_images_equal(image.image());
}

TEST(SplitEqualsWhole, shards_of_1_to_16_chips) {
  std::uint32_t turn = 0;
  for (const WeightFormat weights :
       {WeightFormat::int8, WeightFormat::int4, WeightFormat::int8_pairs}) {
    const OpenImage image(small_model(weights));
    for (const std::uint32_t batch : {1U, 8U}) {
      InProcessOptions options;
      options.run = {40, batch, kVocabulary};
      const Answer expected = answer_of(image.image(), options.run);
      for (const HeadPolicy policy : kPolicies) {
        for (std::uint32_t chips = 1; chips <= 16; ++chips) {
          const auto shards =
              test::make_shards(image.image(), policy, std::vector<std::uint8_t>(chips, 1));
          options.policy = policy;
          options.topology = kTopologies[turn++ % 3];
          options.frame_bytes = turn % 2 == 0 ? 250 : 512;
          expect_equal(test::images_of(shards), options, expected);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(SplitEqualsWhole, unequal_chips_and_any_hub) {
  const OpenImage image(small_model(WeightFormat::int8));
  const std::vector<std::vector<std::uint8_t>> cuts = {
      {1, 3}, {200, 1, 7}, {0, 1, 1, 0}, {1, 0, 0, 255, 9}, {3, 3, 3, 1, 2, 5, 0}};
  for (const std::vector<std::uint8_t>& weights : cuts) {
    for (const Topology topology : kTopologies) {
      for (const bool are_shards : {false, true}) {
        InProcessOptions options;
        options.topology = topology;
        options.hub = static_cast<std::uint32_t>(weights.size() / 2);
        options.weights = weights;
        options.run = {40, 8, kVocabulary};
        const Answer expected = answer_of(image.image(), options.run);
        std::vector<const Image*> images(weights.size(), &image.image());
        std::vector<std::unique_ptr<OpenImage>> shards;
        if (are_shards) {
          shards = test::make_shards(image.image(), options.policy, weights);
          images = test::images_of(shards);
        }
        expect_equal(images, options, expected);
        if (HasFatalFailure()) return;
      }
    }
  }
}

/// Whole images and shards of 1 to 6 chips.
void expect_mixed_model_equal(const ModelSpec& model) {
  const OpenImage image(model);
  InProcessOptions options;
  options.run = {test::kMixedContext, 3, kVocabulary};
  const Answer expected = answer_of(image.image(), options.run);
  for (std::uint32_t chips = 1; chips <= 6; ++chips) {
    for (const HeadPolicy policy : kPolicies) {
      options.policy = policy;
      options.topology = kTopologies[chips % 3];
      expect_equal(std::vector<const Image*>(chips, &image.image()), options, expected);
      const auto shards =
          test::make_shards(image.image(), policy, std::vector<std::uint8_t>(chips, 1));
      expect_equal(test::images_of(shards), options, expected);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

ModelSpec mixed_model() {
  return test::mixed_model(
      {test::window_of(5, 2), test::linear(test::kDecays), {}, test::window_of(3, 0)});
}

TEST(SplitEqualsWhole, every_kind_of_attention) {
  expect_mixed_model_equal(mixed_model());
}

TEST(SplitEqualsWhole, biases) {
  expect_mixed_model_equal(test::with_biases(mixed_model()));
}

TEST(SplitEqualsWhole, biases_of_up_to_16_chips) {
  const OpenImage image(test::with_biases(small_model(WeightFormat::int4)));
  for (std::uint32_t chips = 2; chips <= 16; ++chips) {
    InProcessOptions options;
    options.policy = kPolicies[chips % 2];
    options.run = {40, 8, kVocabulary};
    const Answer expected = answer_of(image.image(), options.run);
    expect_equal(std::vector<const Image*>(chips, &image.image()), options, expected);
    const auto shards =
        test::make_shards(image.image(), options.policy, std::vector<std::uint8_t>(chips, 1));
    expect_equal(test::images_of(shards), options, expected);
    if (HasFatalFailure()) return;
  }
}

/// 64 heads, 64 blocks of the residual stream and of the hidden rows: a part of each for every
/// chip.
TEST(SplitEqualsWhole, sixty_four_chips) {
  ModelSpec spec;
  spec.shape = {1024, 1030, 1, 64, 32, 4, 128, 24};
  spec.block = 16;
  const OpenImage image(spec);
  for (const std::uint32_t batch : {1U, 8U}) {
    InProcessOptions options;
    options.run = {24, batch, 128};
    const Answer expected = answer_of(image.image(), options.run);
    for (const Topology topology : kTopologies) {
      options.topology = topology;
      options.policy = batch == 1 ? HeadPolicy::contiguous : HeadPolicy::round_robin;
      expect_equal(std::vector<const Image*>(64, &image.image()), options, expected);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace mote::host
