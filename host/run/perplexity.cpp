// SPDX-License-Identifier: Apache-2.0
#include "run/perplexity.hpp"

#include <algorithm>
#include <cmath>

namespace mote::host {
namespace {

constexpr std::string_view kSeparator = "<|endoftext|>";
constexpr std::string_view kWhiteSpace = " \t\r\n\v\f";

std::string_view strip(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

}  // namespace

double PerplexityResult::perplexity() const {
  return std::exp(mean());
}

std::vector<std::string_view> split_stories(std::string_view text) {
  std::vector<std::string_view> stories;
  std::size_t story_begin = 0;
  std::size_t line_begin = 0;
  const auto add = [&](std::size_t end) {
    const std::string_view story = strip(text.substr(story_begin, end - story_begin));
    if (!story.empty()) stories.push_back(story);
  };
  while (line_begin < text.size()) {
    const std::size_t line_end = std::min(text.find('\n', line_begin), text.size());
    if (strip(text.substr(line_begin, line_end - line_begin)) == kSeparator) {
      add(line_begin);
      story_begin = std::min(line_end + 1, text.size());
    }
    line_begin = line_end + 1;
  }
  add(text.size());
  return stories;
}

double negative_log_likelihood(std::span<const std::int32_t> logits, std::uint32_t token) {
  constexpr double kUnit = 1.0 / (1 << kLogitFractionBits);
  const std::int32_t best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const std::int32_t logit : logits) sum += std::exp((double(logit) - best) * kUnit);
  return std::log(sum) - (double(logits[token]) - best) * kUnit;
}

PerplexityResult measure_perplexity(
    Engine& engine, std::span<const std::string_view> stories,
    const std::function<void(std::size_t, const PerplexityResult&)>& progress) {
  PerplexityResult result;
  ParallelTransformer& model = engine.transformer();
  for (const std::string_view story : stories) {
    std::vector<std::uint32_t> tokens = engine.encode(story);
    tokens.resize(std::min<std::size_t>(tokens.size(), model.run_config().context_length));
    model.reset();
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      engine.decode({&tokens[i], 1});
      result.negative_log_likelihood += negative_log_likelihood(engine.logits(), tokens[i + 1]);
      ++result.tokens;
    }
    result.characters += story.size();
    ++result.stories;
    if (progress) progress(static_cast<std::size_t>(result.stories), result);
  }
  return result;
}

}  // namespace mote::host
