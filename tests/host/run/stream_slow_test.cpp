// SPDX-License-Identifier: Apache-2.0
// A model that writes eight times beyond its trained context, in the memory of half of it: what a
// sliding window with sinks costs against reading the last positions anew for every token.
#include <gtest/gtest.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "run/perplexity.hpp"
#include "run/stream.hpp"
#include "support/image_factory.hpp"
#include "support/mapped_file.hpp"
#include "support/oracle.hpp"
#include "support/slow_build.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kStreamTokens = 4097;
constexpr std::size_t kPartTokens = 1024;
constexpr std::uint32_t kWindow = 256;
constexpr std::uint32_t kSinks = 4;
constexpr std::uint32_t kStride = 8;
constexpr double kAllowed = 1.05;

std::string missing_input() {
  const std::string text = test::shared_path("data/tinystories_eval.txt");
  return std::filesystem::exists(text) ? test::missing_file(test::kStories260K) : text;
}

/// stories260K as int8 with one kind of attention in all layers.
class Model {
 public:
  explicit Model(const LayerAttention& attention) : file_("mote-test") {
    convert_shared(file_.path(), test::kStories260K, WeightFormat::int8, attention);
    engine_ = std::make_unique<Engine>(file_.path(), EngineOptions());
  }
  Engine& engine() { return *engine_; }

 private:
  TemporaryFile file_;
  std::unique_ptr<Engine> engine_;
};

LayerAttention window_of(std::uint32_t sinks) {
  return {AttentionKind::sliding_window, kWindow, sinks, {}};
}

std::vector<std::uint32_t> stream_tokens(const Engine& engine) {
  const MappedFile text(test::shared_path("data/tinystories_eval.txt"));
  const auto stories =
      split_stories({reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()});
  return make_stream(engine, stories, kStreamTokens);
}

class StreamSlow : public testing::Test {
 protected:
  void SetUp() override {
    if (test::kIsSlowBuild) GTEST_SKIP() << "takes minutes with sanitizers or no optimisation";
    MOTE_SKIP_WITHOUT(missing_input());
  }
};

/// The last 1,024 tokens are from easier stories than tokens 256 to 1,280, so that this bar alone
/// would not show a slow decline; the test below compares each part of the text with a model that
/// reads it anew.
void expect_flat(std::uint32_t sinks) {
  Model model(window_of(sinks));
  const auto tokens = stream_tokens(model.engine());
  ASSERT_EQ(tokens.size(), kStreamTokens);
  const std::vector<double> losses = measure_stream(model.engine(), tokens);
  const double early = perplexity_of(std::span(losses).subspan(256, 1024));
  const double late = perplexity_of(std::span(losses).last(1024));
  test::record("all", perplexity_of(losses));
  test::record("tokens_256_to_1280", early);
  test::record("last_1024", late);
  EXPECT_LE(late, kAllowed * early) << sinks << " sinks";
}

TEST_F(StreamSlow, perplexity_stays_flat_with_sinks) {
  expect_flat(kSinks);
}

TEST_F(StreamSlow, perplexity_stays_flat_without_sinks) {
  expect_flat(0);
}

/// Every `kStride`-th of `losses`.
std::vector<double> strided(std::span<const double> losses) {
  std::vector<double> some;
  for (std::size_t i = 0; i < losses.size(); i += kStride) some.push_back(losses[i]);
  return some;
}

TEST_F(StreamSlow, every_part_is_near_the_causal_model_with_all_keys_recomputed) {
  Model window(window_of(kSinks));
  Model causal({});
  const auto tokens = stream_tokens(window.engine());
  const auto stream = strided(measure_stream(window.engine(), tokens));
  const auto recomputed = measure_recomputed(causal.engine(), tokens, kWindow, kStride);
  ASSERT_EQ(stream.size(), recomputed.size());
  test::record("stream", perplexity_of(stream));
  test::record("recomputed", perplexity_of(recomputed));
  EXPECT_LE(perplexity_of(stream), kAllowed * perplexity_of(recomputed));
  constexpr std::size_t kPart = kPartTokens / kStride;
  for (std::size_t first = 0; first < stream.size(); first += kPart) {
    const double ratio = perplexity_of(std::span(stream).subspan(first, kPart)) /
                         perplexity_of(std::span(recomputed).subspan(first, kPart));
    test::record("ratio_from_" + std::to_string(first * kStride), ratio);
    EXPECT_LE(ratio, kAllowed) << "from token " << first * kStride;
  }
}

}  // namespace
}  // namespace mote::host
