// SPDX-License-Identifier: Apache-2.0
// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "run/engine.hpp"

namespace mote::host {

struct PerplexityResult {
  std::uint64_t stories = 0;
  std::uint64_t tokens = 0;            // predicted
  std::uint64_t characters = 0;        // bytes of the stories, cut ones whole
  double negative_log_likelihood = 0;  // sum, natural logarithm

  double mean() const { return tokens == 0 ? 0 : negative_log_likelihood / double(tokens); }
  double perplexity() const;
};

/// Parts `text` at lines `<|endoftext|>`; white space around a story is stripped, empty ones are
/// left out.
std::vector<std::string_view> split_stories(std::string_view text);

/// -ln of the probability that logits (Q16) give to `token`.
double negative_log_likelihood(std::span<const std::int32_t> logits, std::uint32_t token);

/// Each story from a fresh context with the beginning token, without an end token, cut at the
/// engine's context length. `progress` is called with stories done and the result so far.
PerplexityResult measure_perplexity(
    Engine& engine, std::span<const std::string_view> stories,
    const std::function<void(std::size_t, const PerplexityResult&)>& progress = {});

}  // namespace mote::host
