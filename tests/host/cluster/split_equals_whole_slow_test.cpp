// SPDX-License-Identifier: Apache-2.0
// The promise split_equals_whole on the shared models, int8 and int4: for stories260K (also in
// blocks of 16, of which it has more), babyllama-0.9M and stories3.3M
//   every number of chips from 1 to 16 x both head policies x ring, star and broadcast x batches of
//   1 and of 8, all on whole images, with frames of 250 and 512 bytes in turn;
//   every number of chips from 1 to 16 on shards, policy, topology, batch and frames in turn.
// Compared are the tokens and all logits.
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "convert/convert.hpp"
#include "support/mapped_file.hpp"
#include "support/slow_build.hpp"
#include "support/split_answer.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

using test::Answer;
using test::OpenImage;
using test::SharedModel;
using test::Tokens;

constexpr std::uint32_t kPrompt = 9;  // one token more than a batch
constexpr std::uint32_t kAnswer = 3;
constexpr std::uint32_t kMostChips = 16;
constexpr Topology kTopologies[] = {Topology::ring, Topology::star, Topology::broadcast};

struct Case {
  SharedModel model;
  WeightFormat weights;
  std::uint32_t block;
};

test::Bytes convert(const Case& one) {
  const TemporaryFile file("mote-test");
  const auto checkpoint = open_checkpoint(test::shared_path(one.model.model));
  const std::string tokenizer_path = test::shared_path(one.model.tokenizer);
  const MappedFile tokenizer(tokenizer_path);
  ConvertOptions options;
  options.weights = one.weights;
  options.block = one.block;
  options.name = "shared";
  convert_checkpoint(
      file.path(), *checkpoint,
      read_llama2c_tokenizer(tokenizer.bytes(), checkpoint->shape().vocab_size, tokenizer_path),
      options);
  return test::read_file(file.path());
}

class Check {
 public:
  explicit Check(const Image& image) : image_(image) {
    sampling_ = test::penalized_sampling(40);
    for (const std::uint32_t batch : {1U, 8U}) {
      run_ = {kPrompt + kAnswer, batch, image.config().vocab_size};
      answers_.push_back(
          test::answer_of_one(image, run_, test::random_tokens(image.config().vocab_size, kPrompt),
                              sampling_, kAnswer));
    }
  }

  void whole_images() {
    for (std::uint32_t chips = 1; chips <= kMostChips; ++chips) {
      const std::vector<const Image*> images(chips, &image_);
      for (std::uint32_t i = 0; i < 12; ++i) {
        const bool is_narrow = (static_cast<std::uint32_t>(std::popcount(i)) + chips) % 2 == 0;
        expect_equal(images, i % 2 * 7 + 1, HeadPolicy(i / 2 % 2), kTopologies[i / 4], is_narrow);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }

  void shards() {
    for (std::uint32_t chips = 1; chips <= kMostChips; ++chips) {
      const HeadPolicy policy = HeadPolicy(chips / 2 % 2);
      const auto shards = test::make_shards(image_, policy, std::vector<std::uint8_t>(chips, 1));
      expect_equal(test::images_of(shards), chips % 2 * 7 + 1, policy, kTopologies[chips % 3],
                   chips / 4 % 2 == 0);
      if (testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  void expect_equal(const std::vector<const Image*>& images, std::uint32_t batch, HeadPolicy policy,
                    Topology topology, bool is_narrow) {
    SCOPED_TRACE(testing::Message() << images.size() << " chips, policy " << int(policy)
                                    << ", topology " << int(topology) << ", batch " << batch);
    InProcessOptions options;
    options.topology = topology;
    options.policy = policy;
    options.frame_bytes = is_narrow ? 250 : 512;
    options.run = run_;
    options.run.batch = batch;
    test::expect_split_equals_whole(images, options, answers_[batch == 1 ? 0 : 1], sampling_);
  }

  const Image& image_;
  SamplerConfig sampling_;
  RunConfig run_;
  std::vector<Answer> answers_;  // batch 1, batch 8
};

void expect_split_equals_whole(const Case& one) {
  MOTE_SKIP_WITHOUT(test::missing_file(one.model));
  if (test::kIsSlowBuild) GTEST_SKIP() << "takes too long in this build";
  const OpenImage image(convert(one));
  Check check(image.image());
  check.whole_images();
  if (testing::Test::HasFatalFailure()) return;
  check.shards();
}

TEST(SplitEqualsWholeSlow, stories260k_int8) {
  expect_split_equals_whole({test::kStories260K, WeightFormat::int8, 32});
}
TEST(SplitEqualsWholeSlow, stories260k_int4) {
  expect_split_equals_whole({test::kStories260K, WeightFormat::int4, 32});
}
TEST(SplitEqualsWholeSlow, stories260k_int8_in_blocks_of_16) {
  expect_split_equals_whole({test::kStories260K, WeightFormat::int8, 16});
}
TEST(SplitEqualsWholeSlow, stories260k_int4_in_blocks_of_16) {
  expect_split_equals_whole({test::kStories260K, WeightFormat::int4, 16});
}
TEST(SplitEqualsWholeSlow, babyllama_int8) {
  expect_split_equals_whole({test::kBabyllama, WeightFormat::int8, 32});
}
TEST(SplitEqualsWholeSlow, babyllama_int4) {
  expect_split_equals_whole({test::kBabyllama, WeightFormat::int4, 32});
}
TEST(SplitEqualsWholeSlow, stories3m_int8) {
  expect_split_equals_whole({test::kStories3M, WeightFormat::int8, 32});
}
TEST(SplitEqualsWholeSlow, stories3m_int4) {
  expect_split_equals_whole({test::kStories3M, WeightFormat::int4, 32});
}

}  // namespace
}  // namespace mote::host
