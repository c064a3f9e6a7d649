// SPDX-License-Identifier: Apache-2.0
#include "run/model_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "convert/pack.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/running_model.hpp"
#include "support/shard_factory.hpp"

namespace mote::host {
namespace {

using test::OpenImage;

test::ModelSpec model(WeightFormat weights) {
  test::ModelSpec spec;
  spec.shape = {48, 70, 2, 4, 2, 12, 67, 20};
  spec.weights = weights;
  return spec;
}

std::string failure(const std::string& path) {
  try {
    const ModelFile file(path, Verify::full);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ModelFile, has_plain_lanes_and_the_name_and_logits_of_the_file) {
  const auto tokens = test::random_tokens(67, 6);
  for (const WeightFormat weights :
       {WeightFormat::int8, WeightFormat::int4, WeightFormat::int8_pairs}) {
    const test::Bytes bytes = make_image(model(weights));
    const TemporaryFile file("mote-test");
    test::write_file(file.path(), bytes);
    const ModelFile opened(file.path(), Verify::full);
    const OpenImage expected(bytes);
    EXPECT_FALSE(has_paired_lanes(opened.image()));
    EXPECT_TRUE(std::ranges::equal(opened.image().content_hash(), expected->content_hash()));
    EXPECT_EQ(test::RunningModel(opened.image(), {20, 1, 1}).logits_after_each(tokens),
              test::RunningModel(expected.image(), {20, 1, 1}).logits_after_each(tokens));
  }
}

TEST(ModelFile, of_a_shard_stays_a_shard_of_its_model) {
  const OpenImage whole(make_image(model(WeightFormat::int8_pairs)));
  const test::Cut cut(whole.image(), HeadPolicy::contiguous, {1, 1});
  const TemporaryFile file("mote-test");
  test::write_file(file.path(), test::shard_bytes(whole.image(), cut.info(whole.image(), 1)));
  const ModelFile opened(file.path(), Verify::full);
  EXPECT_TRUE(opened.image().is_shard());
  EXPECT_FALSE(has_paired_lanes(opened.image()));
  EXPECT_TRUE(std::ranges::equal(opened.image().model_hash(), whole->content_hash()));
}

TEST(ModelFile, refuses_damage_by_the_name_of_the_file) {
  const test::Bytes good = make_image(model(WeightFormat::int8_pairs));
  for (const std::size_t place : {std::size_t{0}, std::size_t{90}, good.size() - 1}) {
    test::Bytes bytes = good;
    bytes[place] ^= 1;
    const TemporaryFile file("mote-test");
    test::write_file(file.path(), bytes);
    EXPECT_TRUE(failure(file.path()).starts_with(file.path() + ": ")) << place;
  }
}

}  // namespace
}  // namespace mote::host
