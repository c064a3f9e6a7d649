// SPDX-License-Identifier: Apache-2.0
// Models of every mixture of attention kinds against a double-precision forward pass of the image's
// own weights, several times as long as a window.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mote/sampler.hpp"
#include "support/double_model.hpp"
#include "support/mixed_models.hpp"
#include "support/oracle.hpp"
#include "support/running_model.hpp"

namespace mote {
namespace {

using test::causal;
using test::kDecays;
using test::kMixedContext;
using test::kNoDecays;
using test::linear;
using test::window_of;

constexpr std::uint32_t kShortContext = 24;
constexpr std::size_t kLongStream = 240;

/// sqrt(sum (logit - exact)^2 / sum exact^2) over all logits after each token from `first` on.
double relative_rms_error(const Image& image, const test::Tokens& tokens, std::size_t first) {
  test::RunningModel model(image, {image.config().context_length, 1, 1});
  test::DoubleModel oracle(image);
  double squared_error = 0;
  double squared_logits = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const test::Logits logits = model.logits_after({&tokens[t], 1});
    const std::vector<double> exact = oracle.forward(tokens[t]);
    for (std::size_t i = 0; t >= first && i < logits.size(); ++i) {
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
  std::vector<host::LayerAttention> attention;
};

void expect_within_bounds(const std::vector<Case>& cases, std::uint32_t context_length,
                          std::size_t tokens_count) {
  for (const Case& c : cases) {
    const test::OpenImage image(test::mixed_model(c.attention, context_length));
    const auto tokens = test::random_tokens(image->config().vocab_size, tokens_count);
    const double whole = relative_rms_error(image.image(), tokens, 0);
    const double late = relative_rms_error(image.image(), tokens, tokens_count * 3 / 4);
    test::record(c.name, std::max(whole, late));
    EXPECT_LE(whole, c.bound) << c.name;
    EXPECT_LE(late, c.bound) << c.name << ", the last quarter";
  }
}

/// With a causal layer the stream ends with the context, here twelve windows long.
TEST(LayerAttentionOracle, mixtures_with_causal_layers) {
  expect_within_bounds(
      {{"causal", 0.033, {causal(), causal(), causal()}},
       {"causal_window", 0.041, {causal(), window_of(8, 2), causal(), window_of(8, 0)}},
       {"causal_linear", 0.031, {causal(), linear(kDecays), causal()}},
       {"causal_window_linear", 0.031, {window_of(8, 2), linear(kDecays), causal()}}},
      kMixedContext, kMixedContext);
}

/// Ten times the trained context, and up to sixty windows.
TEST(LayerAttentionOracle, mixtures_without_causal_layers_beyond_the_trained_context) {
  expect_within_bounds(
      {{"window", 0.033, {window_of(8, 0), window_of(8, 0)}},
       {"window_with_sinks", 0.035, {window_of(8, 2), window_of(20, 4), window_of(4, 20)}},
       {"window_of_one", 0.021, {window_of(1, 0), window_of(1, 3)}},
       {"linear", 0.019, {linear(kNoDecays), linear(kNoDecays)}},
       {"linear_with_decays", 0.022, {linear(kDecays), linear({1, 65535})}},
       {"window_linear", 0.034, {window_of(8, 2), linear(kNoDecays), window_of(8, 2)}},
       {"window_linear_with_decays", 0.028, {linear(kDecays), window_of(8, 2), linear(kDecays)}}},
      kShortContext, kLongStream);
}

}  // namespace
}  // namespace mote
