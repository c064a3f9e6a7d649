// SPDX-License-Identifier: Apache-2.0
// What the cluster in one process adds to its chips; that the answer is that of one chip is
// shown in split_equals_whole_test.cpp.
#include "cluster/in_process.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "support/chip_answer.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"

namespace mote::host {
namespace {

using test::Answer;
using test::OpenImage;
using test::Tokens;

constexpr std::uint32_t kVocabulary = 67;

test::ModelSpec small_model(std::uint64_t seed = 1) {
  test::ModelSpec spec;
  spec.shape = {90, 101, 2, 6, 2, 24, kVocabulary, 24};
  spec.block = 16;
  spec.seed = seed;
  return spec;
}

InProcessOptions options_of() {
  InProcessOptions options;
  options.run = {24, 4, kVocabulary};
  return options;
}

std::string error_of(InProcessCluster& cluster) {
  try {
    while (cluster.next_token()) {
    }
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(InProcessCluster, gives_token_after_token_and_ends_where_the_context_does) {
  const OpenImage image(small_model());
  InProcessCluster cluster(std::vector<const Image*>(3, &image.image()), options_of());
  EXPECT_EQ(cluster.size(), 3U);
  EXPECT_FALSE(cluster.next_token()) << "nothing has been asked for";
  const Tokens prompt = test::random_tokens(kVocabulary, 11);
  cluster.start(prompt, test::penalized_sampling(), 1000);
  const Answer expected =
      test::answer_of_one(image.image(), options_of().run, prompt, test::penalized_sampling(), 14);
  for (std::uint32_t i = 1; i <= 14; ++i) {
    ASSERT_TRUE(cluster.next_token());
    ASSERT_EQ(cluster.text().size(), 11 + i);
  }
  EXPECT_FALSE(cluster.next_token());
  EXPECT_TRUE(std::ranges::equal(cluster.text(), expected.text));
}

TEST(InProcessCluster, answers_again_and_can_be_stopped) {
  const OpenImage image(small_model());
  InProcessCluster cluster(std::vector<const Image*>(4, &image.image()), options_of());
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const Tokens prompt = test::random_tokens(kVocabulary, 3 + seed, seed);
    cluster.start(prompt, {}, 12);
    const Answer expected = test::answer_of_one(image.image(), options_of().run, prompt, {}, 7);
    for (int i = 0; i < 7; ++i) ASSERT_TRUE(cluster.next_token());
    EXPECT_TRUE(std::ranges::equal(cluster.text(), expected.text));
    cluster.stop();
    EXPECT_FALSE(cluster.next_token());
  }
}

TEST(InProcessCluster, says_what_it_cannot_do) {
  const OpenImage image(small_model());
  InProcessCluster cluster(std::vector<const Image*>(2, &image.image()), options_of());
  EXPECT_THROW(cluster.start({}, {}, 1), Error);
  EXPECT_THROW(cluster.start(Tokens(25), {}, 1), Error);
  const Tokens strange = {kVocabulary};
  cluster.start(strange, {}, 1);
  EXPECT_NE(error_of(cluster), "");
  SamplerConfig sampling;
  sampling.top_k = 0;
  cluster.start(Tokens(3), sampling, 1);
  EXPECT_NE(error_of(cluster).find(status_text(Status::bad_sampler_config)), std::string::npos);
  InProcessOptions narrow = options_of();
  narrow.frame_bytes = 249;
  EXPECT_THROW(InProcessCluster(std::vector<const Image*>(2, &image.image()), narrow), Error);
}

TEST(InProcessCluster, an_error_names_the_chips_and_both_sides) {
  const ErrorMessage wrong = {Status::wrong_model, 2, 0, 0x11, 0x22};
  const std::string text = describe(wrong);
  for (const char* part : {"chip 2", "chip 0", "0000000000000011", "0000000000000022",
                           status_text(Status::wrong_model)}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_EQ(describe({Status::chip_silent, 3, 3, 0, 0}),
            std::string("chip 3: ") + status_text(Status::chip_silent));
}

}  // namespace
}  // namespace mote::host
