// SPDX-License-Identifier: Apache-2.0
// What rounding to int8 costs on a real text: perplexity against that of an fp32 forward pass. It
// takes seconds a model.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "run/perplexity.hpp"
#include "support/image_factory.hpp"
#include "support/mapped_file.hpp"
#include "support/slow_build.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

constexpr double kAllowedRise = 0.0035;

std::string missing_input(const test::SharedModel& model) {
  const std::string text = test::shared_path("data/tinystories_eval.txt");
  return std::filesystem::exists(text) ? test::missing_file(model) : text;
}

/// `fp32` is the perplexity of an fp32 forward pass, `tokens` what both predict.
void expect_near_reference(const test::SharedModel& model, double fp32, std::uint64_t tokens) {
  const TemporaryFile file("mote-test");
  convert_shared(file.path(), model, WeightFormat::int8);
  EngineOptions options;
  options.batch = 1;
  Engine engine(file.path(), options);
  const MappedFile text(test::shared_path("data/tinystories_eval.txt"));
  const auto stories =
      split_stories({reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()});
  const PerplexityResult result = measure_perplexity(engine, stories);
  testing::Test::RecordProperty("perplexity", std::to_string(result.perplexity()));
  EXPECT_EQ(result.stories, 90U);
  EXPECT_EQ(result.tokens, tokens);
  EXPECT_LE(result.perplexity(), fp32 * (1 + kAllowedRise));
  EXPECT_GE(result.perplexity(), fp32 * (1 - kAllowedRise));
}

class ReferencePerplexity : public testing::Test {
 protected:
  void SetUp() override {
    if (test::kIsSlowBuild)
      GTEST_SKIP() << "takes minutes under sanitizers or without optimisation";
  }
};

TEST_F(ReferencePerplexity, stories260K) {
  MOTE_SKIP_WITHOUT(missing_input(test::kStories260K));
  expect_near_reference(test::kStories260K, 3.9463, 33303);
}

TEST_F(ReferencePerplexity, babyllama) {
  MOTE_SKIP_WITHOUT(missing_input(test::kBabyllama));
  expect_near_reference(test::kBabyllama, 2.1453, 22950);
}

TEST_F(ReferencePerplexity, stories3M) {
  MOTE_SKIP_WITHOUT(missing_input(test::kStories3M));
  expect_near_reference(test::kStories3M, 4.3050, 19182);
}

}  // namespace
}  // namespace mote::host
