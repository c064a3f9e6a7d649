// SPDX-License-Identifier: Apache-2.0
#include "run/stream.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "run/perplexity.hpp"

namespace mote::host {

std::vector<std::uint32_t> make_stream(const Engine& engine,
                                       std::span<const std::string_view> stories,
                                       std::size_t count) {
  std::vector<std::uint32_t> stream;
  for (const std::string_view story : stories) {
    if (stream.size() >= count) break;
    const auto tokens = engine.encode(story);
    stream.insert(stream.end(), tokens.begin(), tokens.end());
  }
  stream.resize(std::min(stream.size(), count));
  return stream;
}

std::vector<double> measure_stream(Engine& engine, std::span<const std::uint32_t> tokens,
                                   const std::function<void(std::size_t)>& progress) {
  std::vector<double> losses;
  engine.transformer().reset();
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    engine.decode(tokens.subspan(i, 1));
    losses.push_back(negative_log_likelihood(engine.logits(), tokens[i + 1]));
    if (progress) progress(i + 1);
  }
  return losses;
}

std::vector<double> measure_recomputed(Engine& engine, std::span<const std::uint32_t> tokens,
                                       std::uint32_t window, std::uint32_t stride,
                                       const std::function<void(std::size_t)>& progress) {
  std::vector<double> losses;
  for (std::size_t i = 0; i + 1 < tokens.size(); i += stride) {
    const std::size_t count = std::min<std::size_t>(i + 1, window);
    engine.transformer().reset();
    engine.decode(tokens.subspan(i + 1 - count, count));
    losses.push_back(negative_log_likelihood(engine.logits(), tokens[i + 1]));
    if (progress) progress(i + 1);
  }
  return losses;
}

double perplexity_of(std::span<const double> losses) {
  return std::exp(std::accumulate(losses.begin(), losses.end(), 0.0) /
                  static_cast<double>(losses.size()));
}

}  // namespace mote::host
