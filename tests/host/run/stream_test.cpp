// SPDX-License-Identifier: Apache-2.0
#include "run/stream.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "run/perplexity.hpp"
#include "support/error.hpp"
#include "support/mixed_models.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

using Stories = std::vector<std::string_view>;
using Tokens = std::vector<std::uint32_t>;

constexpr std::uint32_t kContext = 12;

/// A model of two layers with a token for every byte.
class Model {
 public:
  explicit Model(const LayerAttention& attention) : file_("mote-test") {
    test::ModelSpec model = test::mixed_model({attention, attention}, kContext);
    model.shape.vocab_size = 270;
    test::write_file(file_.path(), make_image(model));
    EngineOptions options;
    options.batch = 5;
    engine_ = std::make_unique<Engine>(file_.path(), options);
  }
  Engine& engine() { return *engine_; }

 private:
  TemporaryFile file_;
  std::unique_ptr<Engine> engine_;
};

Tokens joined(const Engine& engine, const Stories& stories) {
  Tokens all;
  for (const std::string_view story : stories) {
    const Tokens tokens = engine.encode(story);
    all.insert(all.end(), tokens.begin(), tokens.end());
  }
  return all;
}

TEST(MakeStream, joins_stories_that_each_begin_with_the_beginning_token) {
  Model model(test::causal());
  const Stories stories = {"ab c", "x", "abcdef"};
  const Tokens stream = make_stream(model.engine(), stories, 1000);
  EXPECT_EQ(stream, joined(model.engine(), stories));
  const std::uint32_t bos = model.engine().tokenizer().bos();
  EXPECT_EQ(stream.front(), bos);
  EXPECT_EQ(std::count(stream.begin(), stream.end(), bos), 3);
}

TEST(MakeStream, is_cut_at_its_count) {
  Model model(test::causal());
  const Stories stories = {"ab c", "", "x", "abcdef"};
  const Tokens all = joined(model.engine(), stories);
  for (std::size_t count = 0; count <= all.size() + 3; ++count) {
    const std::size_t expected = std::min(count, all.size());
    EXPECT_EQ(make_stream(model.engine(), stories, count),
              Tokens(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(expected)));
  }
  EXPECT_TRUE(make_stream(model.engine(), {}, 7).empty());
}

const Stories kLong = {"a stream that is longer than the context", "and than many windows", "x"};

/// The loss of the token after the last of `read`, from a model of its own.
double fresh_loss(const LayerAttention& attention, const Tokens& read, std::uint32_t next) {
  Model fresh(attention);
  for (const std::uint32_t token : read) fresh.engine().decode({&token, 1});
  return negative_log_likelihood(fresh.engine().logits(), next);
}

TEST(MeasureStream, reads_on_without_a_reset) {
  const auto window = test::window_of(4, 1);
  Model model(window);
  const Tokens tokens = make_stream(model.engine(), kLong, 60);
  ASSERT_EQ(tokens.size(), 60U);
  std::vector<std::size_t> calls;
  const auto losses =
      measure_stream(model.engine(), tokens, [&](std::size_t done) { calls.push_back(done); });
  ASSERT_EQ(losses.size(), 59U);
  ASSERT_EQ(calls.size(), 59U);
  EXPECT_EQ(calls.front(), 1U);
  EXPECT_EQ(calls.back(), 59U);
  for (const std::size_t i : {0U, 3U, 20U, 58U}) {
    const Tokens read(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    EXPECT_EQ(losses[i], fresh_loss(window, read, tokens[i + 1])) << i;
  }
  EXPECT_EQ(measure_stream(model.engine(), tokens), losses);
}

TEST(MeasureStream, ends_where_causal_layers_do) {
  Model model(test::causal());
  const Tokens tokens = make_stream(model.engine(), kLong, kContext + 2);
  EXPECT_EQ(measure_stream(model.engine(), std::span(tokens).first(kContext + 1)).size(), kContext);
  try {
    measure_stream(model.engine(), tokens);
    ADD_FAILURE() << "a stream longer than the context was read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("0 positions that are left of 12"), std::string::npos)
        << error.what();
  }
}

TEST(MeasureStream, needs_two_tokens) {
  Model model(test::causal());
  EXPECT_TRUE(measure_stream(model.engine(), {}).empty());
  EXPECT_TRUE(measure_stream(model.engine(), Tokens{1}).empty());
  EXPECT_TRUE(measure_recomputed(model.engine(), Tokens{1}, 4, 1).empty());
}

TEST(MeasureRecomputed, reads_the_last_tokens_anew) {
  Model model(test::causal());
  const Tokens tokens = make_stream(model.engine(), kLong, 40);
  for (const std::uint32_t window : {1U, 5U, kContext}) {
    const auto losses = measure_recomputed(model.engine(), tokens, window, 1);
    ASSERT_EQ(losses.size(), 39U);
    for (const std::size_t i : {0U, 4U, 38U}) {
      const std::size_t count = std::min<std::size_t>(i + 1, window);
      const auto end = tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1;
      const Tokens read(end - static_cast<std::ptrdiff_t>(count), end);
      EXPECT_EQ(losses[i], fresh_loss(test::causal(), read, tokens[i + 1])) << i;
    }
  }
  EXPECT_THROW(measure_recomputed(model.engine(), tokens, kContext + 1, 1), Error);
}

TEST(MeasureRecomputed, a_stride_leaves_tokens_out) {
  Model model(test::causal());
  const Tokens tokens = make_stream(model.engine(), kLong, 40);
  const auto all = measure_recomputed(model.engine(), tokens, 6, 1);
  std::vector<std::size_t> calls;
  const auto some = measure_recomputed(model.engine(), tokens, 6, 7,
                                       [&](std::size_t done) { calls.push_back(done); });
  ASSERT_EQ(some.size(), 6U);
  for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i], all[7 * i]);
  EXPECT_EQ(calls, (std::vector<std::size_t>{1, 8, 15, 22, 29, 36}));
}

/// What is read anew from an empty context stands within the window.
TEST(MeasureRecomputed, a_window_that_holds_all_of_it_equals_the_causal_model) {
  Model causal(test::causal());
  Model window(test::window_of(8, 2));
  const Tokens tokens = make_stream(causal.engine(), kLong, 40);
  EXPECT_EQ(measure_recomputed(window.engine(), tokens, 8, 3),
            measure_recomputed(causal.engine(), tokens, 8, 3));
}

TEST(PerplexityOf, is_the_exponential_of_the_mean) {
  EXPECT_DOUBLE_EQ(perplexity_of(std::vector<double>{2.5}), std::exp(2.5));
  EXPECT_DOUBLE_EQ(perplexity_of(std::vector<double>{1, 2, 6}), std::exp(3));
}

}  // namespace
}  // namespace mote::host
