// SPDX-License-Identifier: Apache-2.0
// An image with paired lanes is the same model: its numbers by SPEC.md, its tokens and its logits.
#include "convert/pack.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "support/image_parts.hpp"
#include "support/mixed_models.hpp"
#include "support/running_model.hpp"
#include "support/split_answer.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::ModelSpec;
using test::OpenImage;

Bytes packed(const Image& image, Lanes lanes) {
  const TemporaryFile file("mote-test");
  const PackReport report = pack_image(file.path(), image, lanes);
  Bytes bytes = test::read_file(file.path());
  EXPECT_EQ(report.image_bytes, bytes.size());
  EXPECT_TRUE(std::ranges::equal(report.hash, std::span(bytes).subspan(32, 32)));
  return bytes;
}
Bytes packed(const Bytes& image, Lanes lanes) {
  return packed(OpenImage(image).image(), lanes);
}

/// Rows and heads that fill no block.
ModelSpec ragged_model(WeightFormat weights) {
  ModelSpec spec;
  spec.shape = {90, 101, 2, 6, 2, 24, 67, 40};
  spec.shape.has_classifier = true;
  spec.block = 16;
  spec.weights = weights;
  return spec;
}

/// The int8 model with the embedding of the int4 one.
Bytes mixed_image() {
  std::vector<test::ImagePart> parts = test::parts_of(make_image(ragged_model(WeightFormat::int8)));
  const auto other = test::parts_of(make_image(ragged_model(WeightFormat::int4)));
  const std::size_t at = test::index_of(parts, SectionKind::token_embedding, 0);
  parts[at] = other[at];
  return test::write_parts(parts);
}

std::vector<Bytes> images() {
  return {make_image(ragged_model(WeightFormat::int8)),
          make_image(ragged_model(WeightFormat::int4)),
          make_image(test::with_biases(ragged_model(WeightFormat::int8))),
          make_image(test::tiny_model()), mixed_image()};
}

std::uint32_t count_of(const Image& image, WeightFormat format) {
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    count += image.section(i).format == format ? 1 : 0;
  }
  return count;
}

TEST(PackImage, there_and_back_gives_the_same_bytes) {
  for (const Bytes& plain : images()) {
    const Bytes pairs = packed(plain, Lanes::pairs);
    EXPECT_EQ(packed(pairs, Lanes::plain), plain);
    EXPECT_EQ(packed(pairs, Lanes::pairs), pairs);
    EXPECT_EQ(packed(plain, Lanes::plain), plain);
  }
}

TEST(PackImage, every_lane_is_the_same_number_by_the_specification) {
  for (const Bytes& plain : images()) {
    const test::SpecImage before = test::parse_image(plain);
    const test::SpecImage after = test::parse_image(packed(plain, Lanes::pairs));
    ASSERT_EQ(after.sections.size(), before.sections.size());
    for (std::size_t i = 0; i < before.sections.size(); ++i) {
      const test::SpecSection& section = before.sections[i];
      ASSERT_EQ(after.sections[i].format, section.format == 1 ? 3 : section.format);
      if (section.format != 1) {
        ASSERT_EQ(after.sections[i].bytes, section.bytes);
        continue;
      }
      for (std::uint64_t row = 0; row < section.rows; ++row) {
        ASSERT_EQ(after.sections[i].row_scale(row), section.row_scale(row));
        for (std::uint64_t c = 0; c < section.blocks() * section.block; ++c) {
          ASSERT_EQ(after.sections[i].value(row, c), section.value(row, c));
        }
      }
    }
  }
}

TEST(PackImage, is_what_a_conversion_to_this_format_writes) {
  const Bytes converted = make_image(ragged_model(WeightFormat::int8_pairs));
  EXPECT_EQ(packed(make_image(ragged_model(WeightFormat::int8)), Lanes::pairs), converted);
}

TEST(PackImage, counts_what_it_changes) {
  const OpenImage mixed(mixed_image());
  const TemporaryFile file("mote-test");
  const PackReport report = pack_image(file.path(), mixed.image(), Lanes::pairs);
  EXPECT_EQ(report.matrices, count_of(mixed.image(), WeightFormat::int8));
  EXPECT_EQ(report.changed, report.matrices);
  const OpenImage pairs(test::read_file(file.path()));
  EXPECT_EQ(count_of(pairs.image(), WeightFormat::int8_pairs), report.matrices);
  EXPECT_EQ(count_of(pairs.image(), WeightFormat::int4), 1U);
  EXPECT_EQ(pack_image(file.path(), pairs.image(), Lanes::pairs).changed, 0U);
}

TEST(PackImage, logits_stay_to_the_bit) {
  for (const Bytes& plain : images()) {
    const OpenImage before(plain);
    const OpenImage after(packed(plain, Lanes::pairs));
    const std::uint32_t count = std::min(before->config().context_length, 8U);
    const auto tokens = test::random_tokens(before->config().vocab_size, count);
    const RunConfig run = {count, 1, 1};
    EXPECT_EQ(test::RunningModel(after.image(), run).logits_after_each(tokens),
              test::RunningModel(before.image(), run).logits_after_each(tokens));
  }
}

test::Answer answer_of(const Image& image, const RunConfig& run) {
  const auto prompt = test::random_tokens(image.config().vocab_size, 11);
  return test::answer_of_one(image, run, prompt, test::penalized_sampling(), 4);
}

TEST(PackImage, four_chips_answer_as_one_with_plain_lanes) {
  for (const Bytes& plain : {make_image(ragged_model(WeightFormat::int8)), mixed_image()}) {
    const OpenImage whole(plain);
    const OpenImage pairs(packed(plain, Lanes::pairs));
    InProcessOptions options;
    options.run = {40, 8, whole->config().vocab_size};
    const test::Answer expected = answer_of(whole.image(), options.run);
    const auto shards = test::make_shards(pairs.image(), options.policy, {1, 1, 1, 1});
    test::expect_split_equals_whole(test::images_of(shards), options, expected,
                                    test::penalized_sampling());
  }
}

TEST(PackImage, stories260K_stays_to_the_bit_on_one_chip_and_on_four) {
  MOTE_SKIP_WITHOUT(test::missing_file(test::kStories260K));
  const OpenImage whole(test::convert_shared(test::kStories260K, WeightFormat::int8));
  const OpenImage pairs(packed(whole.image(), Lanes::pairs));
  InProcessOptions options;
  options.run = {40, 8, whole->config().vocab_size};
  const test::Answer expected = answer_of(whole.image(), options.run);
  for (const std::size_t chips : {1U, 4U}) {
    const auto shards =
        test::make_shards(pairs.image(), options.policy, std::vector<std::uint8_t>(chips, 1));
    test::expect_split_equals_whole(test::images_of(shards), options, expected,
                                    test::penalized_sampling());
  }
}

// A chip whose shard was packed understands one whose shard was not: both are of the same model,
// and what they exchange has no lanes of an image.
TEST(PackImage, shards_of_both_kinds_answer_together) {
  const OpenImage whole(make_image(ragged_model(WeightFormat::int8)));
  InProcessOptions options;
  options.run = {40, 8, whole->config().vocab_size};
  const test::Answer expected = answer_of(whole.image(), options.run);
  for (const std::size_t first : {0U, 1U}) {
    auto shards = test::make_shards(whole.image(), options.policy, {1, 1, 1, 1});
    for (std::size_t rank = first; rank < shards.size(); rank += 2) {
      const Bytes plain = test::shard_bytes(
          whole.image(), test::Cut(whole.image(), options.policy, {1, 1, 1, 1})
                             .info(whole.image(), static_cast<std::uint32_t>(rank)));
      shards[rank] = std::make_unique<OpenImage>(packed(plain, Lanes::pairs));
      EXPECT_EQ(packed(shards[rank]->image(), Lanes::plain), plain);
      EXPECT_TRUE(std::ranges::equal(shards[rank]->image().model_hash(), whole->content_hash()));
    }
    test::expect_split_equals_whole(test::images_of(shards), options, expected,
                                    test::penalized_sampling());
  }
}

TEST(PlainLanes, are_the_image_but_for_its_name) {
  for (const Bytes& plain : images()) {
    const OpenImage pairs(packed(plain, Lanes::pairs));
    Bytes unpacked = plain_lanes(pairs.image());
    const test::AlignedBytes memory(unpacked);
    Image opened;
    ASSERT_EQ(opened.open(memory.span(), Verify::structure), Status::ok);
    EXPECT_FALSE(has_paired_lanes(opened));
    EXPECT_EQ(has_paired_lanes(pairs.image()), count_of(opened, WeightFormat::int8) != 0);
    EXPECT_TRUE(std::ranges::equal(opened.content_hash(), pairs->content_hash()));
    EXPECT_EQ(opened.verify(), Status::ok);
    // Hash and checksum of the header are all that differs.
    std::copy_n(plain.begin() + 20, 4, unpacked.begin() + 20);
    std::copy_n(plain.begin() + 32, 32, unpacked.begin() + 32);
    EXPECT_EQ(unpacked, plain);
  }
}

}  // namespace
}  // namespace mote::host
