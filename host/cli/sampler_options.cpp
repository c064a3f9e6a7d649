// SPDX-License-Identifier: Apache-2.0
#include "cli/sampler_options.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace mote::host {
namespace {

std::uint32_t to_q16(double value) {
  return static_cast<std::uint32_t>(std::floor(value * kOneQ16 + 0.5));
}

/// low to high; CLI::Range alone would let a NaN pass.
CLI::Validator within(double low, double high) {
  const auto is_number = [](const std::string& text) {
    double value = 0;
    const bool is_nan = CLI::detail::lexical_cast(text, value) && std::isnan(value);
    return is_nan ? std::string("Value is not a number") : std::string();
  };
  return CLI::Range(low, high) & CLI::Validator(is_number, "");
}

}  // namespace

void SamplerOptions::add_to(CLI::App& command) {
  command.add_option("--temp", temperature, "Temperature; 0 takes the best token each time")
      ->capture_default_str()
      ->check(within(0.0, 100.0));
  command.add_option("--top-k", top_k, "Draw from the best K tokens; 0: from all")
      ->capture_default_str();
  command.add_option("--top-p", top_p, "Draw from the fewest tokens that hold this probability")
      ->capture_default_str()
      ->check(within(0.0001, 1.0));
  command
      .add_option("--min-p", min_p, "Drop tokens below this share of the best one's probability")
      ->capture_default_str()
      ->check(within(0.0, 0.999));
  command.add_option("--repeat-penalty", repeat_penalty, "Penalty of the last 64 tokens; 1: none")
      ->capture_default_str()
      ->check(within(1.0, 16.0));
  command.add_option("-s,--seed", seed, "Seed of the draw; -1: a new one each time")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{-1}, INT64_MAX));
}

SamplerConfig SamplerOptions::resolve(std::uint32_t vocab_size) const {
  SamplerConfig config;
  config.temperature_q16 = temperature > 0 ? std::max<std::uint32_t>(to_q16(temperature), 1) : 0;
  config.top_k = top_k == 0 ? vocab_size : std::min(top_k, vocab_size);
  if (config.temperature_q16 == 0) config.top_k = 1;
  config.top_p_q16 = std::max<std::uint32_t>(to_q16(top_p), 1);
  config.min_p_q16 = to_q16(min_p);
  config.repeat_penalty_q16 = to_q16(repeat_penalty);
  config.seed = seed >= 0 ? static_cast<std::uint64_t>(seed) : std::random_device{}();
  return config;
}

}  // namespace mote::host
