// SPDX-License-Identifier: Apache-2.0
// Run by mpirun: every process runs every test, and all must agree with one chip.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mpi/mpi_cluster.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/running_model.hpp"

namespace mote::host {
namespace {

using test::ModelSpec;
using test::OpenImage;
using test::RunningModel;
using test::Tokens;
using Listed = std::vector<std::pair<std::uint32_t, std::int32_t>>;

constexpr std::uint32_t kAnswer = 6;

Listed listed(std::span<const Candidate> candidates) {
  Listed list;
  for (const Candidate& one : candidates) list.emplace_back(one.token, one.logit);
  return list;
}

int processes() {
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

ModelSpec odd_model(WeightFormat weights) {
  ModelSpec spec;
  spec.shape = {90, 101, 2, 6, 2, 24, 67, 40};
  spec.shape.has_classifier = true;
  spec.block = 16;
  spec.weights = weights;
  return spec;
}

SamplerConfig sampling() {
  SamplerConfig config;
  config.temperature_q16 = kOneQ16;
  config.top_k = 5;
  config.repeat_penalty_q16 = kOneQ16 * 5 / 4;
  config.seed = 7;
  return config;
}

/// Tokens, and all logits that each was drawn from, of one chip and of all processes.
void expect_equal_to_one_chip(const Image& image, const MpiOptions& options) {
  const Tokens prompt = test::random_tokens(image.config().vocab_size, 11);
  RunningModel one(image, options.run);
  Sampler sampler;
  ASSERT_EQ(sampler.configure(sampling()), Status::ok);
  for (const std::uint32_t token : prompt) sampler.accept(token);
  one.decode(prompt);
  MpiCluster cluster(MPI_COMM_WORLD, image, options);
  cluster.start(prompt, sampling());
  for (std::uint32_t i = 0; i < kAnswer; ++i) {
    const auto expected = one->candidates(sampler);
    ASSERT_TRUE(cluster.next_token());
    ASSERT_EQ(listed(cluster.candidates()), listed(expected));
    const std::uint32_t token = sampler.sample(expected);
    ASSERT_EQ(cluster.text().back(), token);
    sampler.accept(token);
    one.decode({&token, 1});
  }
  EXPECT_GT(cluster.counters().gathers, 0U);
}

TEST(MpiCluster, gives_the_logits_of_one_chip) {
  for (const WeightFormat weights : {WeightFormat::int8, WeightFormat::int4}) {
    const OpenImage image(odd_model(weights));
    for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
      for (const std::uint32_t batch : {1U, 8U}) {
        MpiOptions options;
        options.policy = policy;
        options.run = {40, batch, image->config().vocab_size};
        expect_equal_to_one_chip(image.image(), options);
      }
    }
  }
}

TEST(MpiCluster, unequal_weights_and_idle_processes) {
  const OpenImage image(odd_model(WeightFormat::int8));
  MpiOptions options;
  options.run = {40, 4, image->config().vocab_size};
  options.weights.assign(static_cast<std::size_t>(processes()), 1);
  options.weights.back() = 3;
  if (processes() > 1) options.weights.front() = 0;
  expect_equal_to_one_chip(image.image(), options);
}

TEST(MpiCluster, ends_where_the_context_is_full) {
  const OpenImage image(odd_model(WeightFormat::int8));
  MpiOptions options;
  options.run = {12, 4, 5};
  MpiCluster cluster(MPI_COMM_WORLD, image.image(), options);
  cluster.start(test::random_tokens(67, 11), {});
  EXPECT_TRUE(cluster.next_token());
  EXPECT_TRUE(cluster.next_token());
  EXPECT_FALSE(cluster.next_token());
}

TEST(MpiCluster, all_processes_refuse_what_one_cannot_do) {
  // One process holds another model; each learns of it.
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  ModelSpec spec = odd_model(WeightFormat::int8);
  if (processes() > 1 && rank == processes() - 1) spec.seed = 99;
  const OpenImage image(spec);
  MpiOptions options;
  options.run = {40, 1, 1};
  if (processes() > 1) {
    EXPECT_THROW(MpiCluster(MPI_COMM_WORLD, image.image(), options), Error);
  }
  options.weights.assign(static_cast<std::size_t>(processes()) + 1, 1);
  EXPECT_THROW(MpiCluster(MPI_COMM_WORLD, image.image(), options), Error);
}

}  // namespace
}  // namespace mote::host

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  int failed = RUN_ALL_TESTS();
  MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return failed;
}
