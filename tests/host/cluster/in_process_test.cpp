// SPDX-License-Identifier: Apache-2.0
// A model over chips answers with the tokens and logits of one chip, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "cluster/in_process.hpp"
#include "support/image_factory.hpp"
#include "support/running_model.hpp"

namespace mote::host {
namespace {

using test::ModelSpec;
using test::OpenImage;
using test::RunningModel;
using test::Tokens;

constexpr std::uint32_t kPrompt = 11;
constexpr std::uint32_t kAnswer = 6;

using Candidates = std::vector<std::pair<std::uint32_t, std::int32_t>>;

Candidates listed(std::span<const Candidate> candidates) {
  Candidates list;
  for (const Candidate& one : candidates) list.emplace_back(one.token, one.logit);
  return list;
}

/// What one chip says: tokens, and all logits that each was drawn from, best first.
struct Answer {
  Tokens text;
  std::vector<Candidates> logits;
};

SamplerConfig sampling() {
  SamplerConfig config;
  config.temperature_q16 = kOneQ16;
  config.top_k = 5;
  config.repeat_penalty_q16 = kOneQ16 * 5 / 4;
  config.seed = 7;
  return config;
}

Answer answer_of_one(const Image& image, const RunConfig& run, const Tokens& prompt) {
  RunningModel model(image, run);
  Sampler sampler;
  EXPECT_EQ(sampler.configure(sampling()), Status::ok);
  Answer answer{prompt, {}};
  for (const std::uint32_t token : prompt) sampler.accept(token);
  model.decode(prompt);
  for (std::uint32_t i = 0; i < kAnswer; ++i) {
    const auto candidates = model->candidates(sampler);
    answer.logits.push_back(listed(candidates));
    const std::uint32_t token = sampler.sample(candidates);
    sampler.accept(token);
    answer.text.push_back(token);
    model.decode({&token, 1});
  }
  return answer;
}

void expect_answer(const Image& image, std::uint32_t chips, InProcessOptions options,
                   const Answer& expected) {
  InProcessCluster cluster(std::vector<const Image*>(chips, &image), options);
  const auto prompt = std::span(expected.text).first(kPrompt);
  cluster.start(prompt, sampling(), kAnswer);
  for (const Candidates& logits : expected.logits) {
    ASSERT_TRUE(cluster.next_token());
    ASSERT_EQ(listed(cluster.chip(0).node().candidates()), logits);
  }
  EXPECT_TRUE(std::ranges::equal(cluster.text(), expected.text));
  EXPECT_FALSE(cluster.next_token());
}

TEST(InProcessCluster, any_number_of_chips_and_topology_gives_the_logits_of_one_chip) {
  ModelSpec spec;
  spec.shape = {90, 101, 2, 6, 2, 24, 67, 40};
  spec.shape.has_classifier = true;
  spec.block = 16;
  const OpenImage image(spec);
  const Tokens prompt = test::random_tokens(67, kPrompt);
  for (const std::uint32_t batch : {1U, 8U}) {
    const RunConfig run = {40, batch, 67};
    const Answer expected = answer_of_one(image.image(), run, prompt);
    for (const Topology topology : {Topology::ring, Topology::star, Topology::broadcast}) {
      for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
        for (std::uint32_t chips = 1; chips <= 9; ++chips) {
          SCOPED_TRACE(testing::Message() << chips << " chips, topology " << int(topology)
                                          << ", policy " << int(policy) << ", batch " << batch);
          InProcessOptions options;
          options.topology = topology;
          options.policy = policy;
          options.frame_bytes = chips % 2 == 0 ? 250 : 512;
          options.run = run;
          expect_answer(image.image(), chips, options, expected);
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace mote::host
