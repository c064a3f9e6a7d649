// SPDX-License-Identifier: Apache-2.0
#include "run/perplexity.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "support/image_factory.hpp"
#include "support/random.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

using Stories = std::vector<std::string_view>;

TEST(SplitStories, parts_at_the_separator) {
  EXPECT_EQ(split_stories("one\n<|endoftext|>\ntwo\n<|endoftext|>\n"), (Stories{"one", "two"}));
  EXPECT_EQ(split_stories("one\n<|endoftext|>\ntwo"), (Stories{"one", "two"}));
  EXPECT_EQ(split_stories("one"), (Stories{"one"}));
  EXPECT_EQ(split_stories("<|endoftext|>\none"), (Stories{"one"}));
}

TEST(SplitStories, strips_white_space_and_drops_what_is_empty) {
  EXPECT_EQ(split_stories(" \t one\n two \r\n<|endoftext|>\n\n \n<|endoftext|>\n  three\v\f\n"),
            (Stories{"one\n two", "three"}));
  EXPECT_TRUE(split_stories("").empty());
  EXPECT_TRUE(split_stories(" \n\n").empty());
  EXPECT_TRUE(split_stories("<|endoftext|>").empty());
  EXPECT_TRUE(split_stories("<|endoftext|>\n<|endoftext|>\n").empty());
}

TEST(SplitStories, the_separator_is_a_line_of_its_own) {
  EXPECT_EQ(split_stories("a <|endoftext|> b\nc<|endoftext|>\n"),
            (Stories{"a <|endoftext|> b\nc<|endoftext|>"}));
  EXPECT_EQ(split_stories("a\r\n<|endoftext|>\r\nb\n  <|endoftext|>  \nc"),
            (Stories{"a", "b", "c"}));
}

/// By the definition of the softmax, without moving the largest logit to zero.
double direct(const std::vector<std::int32_t>& logits, std::uint32_t token) {
  long double sum = 0;
  for (const std::int32_t logit : logits) sum += std::exp(logit / 65536.0L);
  return static_cast<double>(std::log(sum) - logits[token] / 65536.0L);
}

TEST(NegativeLogLikelihood, equals_a_direct_softmax) {
  test::Random random(4);
  for (int time = 0; time < 50; ++time) {
    std::vector<std::int32_t> logits(1 + random.below(500));
    for (std::int32_t& logit : logits) logit = static_cast<std::int32_t>(random.normal() * 300000);
    const auto token = static_cast<std::uint32_t>(random.below(logits.size()));
    EXPECT_NEAR(negative_log_likelihood(logits, token), direct(logits, token), 1e-9);
  }
}

TEST(NegativeLogLikelihood, knows_simple_cases) {
  EXPECT_DOUBLE_EQ(negative_log_likelihood(std::vector<std::int32_t>(8, 12345), 3), std::log(8));
  EXPECT_DOUBLE_EQ(negative_log_likelihood(std::vector<std::int32_t>{-7}, 0), 0);
  constexpr std::int32_t kLow = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t kHigh = std::numeric_limits<std::int32_t>::max();
  const std::vector<std::int32_t> extreme = {kLow, kHigh};
  EXPECT_DOUBLE_EQ(negative_log_likelihood(extreme, 1), 0);
  EXPECT_DOUBLE_EQ(negative_log_likelihood(extreme, 0), (double(kHigh) - kLow) / 65536);
}

TEST(PerplexityResult, is_the_exponential_of_the_mean) {
  PerplexityResult result;
  EXPECT_EQ(result.mean(), 0);
  result.tokens = 4;
  result.negative_log_likelihood = 8;
  EXPECT_EQ(result.mean(), 2);
  EXPECT_DOUBLE_EQ(result.perplexity(), std::exp(2));
}

TEST(MeasurePerplexity, reads_each_story_from_a_fresh_context) {
  const TemporaryFile file("mote-test");
  test::ModelSpec model;
  model.shape = {16, 24, 2, 2, 1, 8, 270, 12};
  test::write_file(file.path(), make_image(model));
  Engine engine(file.path(), {});
  // The second one is longer than the context.
  const Stories stories = {"ab c", "abcdefghijklmnopqrstuvwxyz", "x"};
  double expected = 0;
  std::uint64_t tokens_count = 0;
  for (const std::string_view story : stories) {
    std::vector<std::uint32_t> tokens = engine.encode(story);
    ASSERT_EQ(tokens.front(), engine.tokenizer().bos());
    tokens.resize(std::min<std::size_t>(tokens.size(), 12));
    Engine fresh(file.path(), {});
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      fresh.decode({&tokens[i], 1});
      expected += direct(fresh.logits(), tokens[i + 1]);
      ++tokens_count;
    }
  }
  std::vector<std::size_t> calls;
  const PerplexityResult result = measure_perplexity(
      engine, stories, [&](std::size_t done, const PerplexityResult&) { calls.push_back(done); });
  EXPECT_EQ(result.stories, 3U);
  EXPECT_EQ(result.tokens, tokens_count);
  EXPECT_EQ(result.characters, 4U + 26U + 1U);
  EXPECT_NEAR(result.negative_log_likelihood, expected, 1e-9);
  EXPECT_EQ(calls, (std::vector<std::size_t>{1, 2, 3}));
}

}  // namespace
}  // namespace mote::host
