// SPDX-License-Identifier: Apache-2.0
// What one chip says: the answer that any cluster must give.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mote/sampler.hpp"
#include "support/running_model.hpp"

namespace mote::test {

/// Token and logit, best first; all of the vocabulary where the run keeps so many.
using Candidates = std::vector<std::pair<std::uint32_t, std::int32_t>>;

inline Candidates listed(std::span<const Candidate> candidates) {
  Candidates list;
  for (const Candidate& one : candidates) list.emplace_back(one.token, one.logit);
  return list;
}

struct Answer {
  Tokens text;                     // the prompt and the tokens drawn
  std::vector<Candidates> logits;  // that each of these was drawn from
};

/// Draws that differ from the best token, and depend on the text and on the draws before.
inline SamplerConfig penalized_sampling(std::uint32_t top_k = 5) {
  SamplerConfig config;
  config.temperature_q16 = kOneQ16;
  config.top_k = top_k;
  config.repeat_penalty_q16 = kOneQ16 * 5 / 4;
  config.seed = 7;
  return config;
}

inline Answer answer_of_one(const Image& image, const RunConfig& run, const Tokens& prompt,
                            const SamplerConfig& sampling, std::uint32_t tokens) {
  RunningModel model(image, run);
  Sampler sampler;
  EXPECT_EQ(sampler.configure(sampling), Status::ok);
  Answer answer{prompt, {}};
  for (const std::uint32_t token : prompt) sampler.accept(token);
  model.decode(prompt);
  for (std::uint32_t i = 0; i < tokens; ++i) {
    if (i != 0) model.decode(std::span(answer.text).last(1));
    const auto candidates = model->candidates(sampler);
    answer.logits.push_back(listed(candidates));
    answer.text.push_back(sampler.sample(candidates));
    sampler.accept(answer.text.back());
  }
  return answer;
}

}  // namespace mote::test
