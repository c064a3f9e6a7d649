// SPDX-License-Identifier: Apache-2.0
// Each shard has exactly its rows of the whole image. What is refused is in
// image_shard_validate_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "model/image_shard.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"
#include "support/shard_factory.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Bytes;
using test::Cut;
using test::ModelSpec;
using test::OpenImage;
using test::shard_bytes;
using test::SpecImage;
using test::SpecSection;

constexpr std::uint64_t kEmbedding = 5, kClassifier = 6, kWq = 17, kWk = 18, kWv = 19, kWo = 20,
                        kGate = 22, kUp = 23, kDown = 24, kAttention = 25, kBq = 26, kBo = 29,
                        kShard = 8;

/// Heads in groups of two, rows that fill no block.
ModelSpec ragged_model(WeightFormat weights) {
  ModelSpec model;
  model.shape = {50, 150, 3, 6, 3, 24, 270, 20};
  model.shape.has_classifier = weights == WeightFormat::int4;
  model.weights = weights;
  model.block = 16;
  return model;
}

ModelSpec linear_model() {
  ModelSpec model = test::mixed_model({test::linear({65536, 60000, 20000, 7}), test::causal(),
                                       test::window_of(7, 2), test::linear({1, 2, 3, 4})},
                                      20);
  model.shape.n_heads = 8;
  model.shape.n_kv_heads = 4;
  return model;
}

/// A whole model and shards of it, read by the reader that was written from SPEC.md alone.
struct Whole {
  explicit Whole(const ModelSpec& model)
      : bytes(make_image(model)), spec(test::parse_image(bytes)), opened(bytes) {}

  const Image& image() const { return opened.image(); }

  Bytes bytes;
  SpecImage spec;
  OpenImage opened;
};

const std::vector<ModelSpec>& models() {
  static const std::vector<ModelSpec> kModels = {
      ragged_model(WeightFormat::int8),
      ragged_model(WeightFormat::int4),
      ragged_model(WeightFormat::int8_pairs),
      linear_model(),
      test::tiny_model(),
      test::with_biases(ragged_model(WeightFormat::int8)),
      test::with_biases(linear_model())};
  return kModels;
}

/// Rows first to end - 1 without those that the matrix does not have.
void add_rows(std::vector<std::uint64_t>& rows, std::uint64_t first, std::uint64_t end,
              std::uint64_t count) {
  for (std::uint64_t row = first; row < std::min(end, count); ++row) rows.push_back(row);
}

/// Rows of the whole matrix that a shard must have, from the words of SPEC.md.
std::vector<std::uint64_t> expected_rows(const SpecSection& section, const ModelConfig& config,
                                         const Slice& slice) {
  std::vector<std::uint64_t> rows;
  const HeadSet& heads = slice.heads;
  const std::uint64_t size = config.head_size;
  const std::uint32_t group = config.heads_per_kv_head();
  const auto add_blocks = [&](const Range& blocks) {
    add_rows(rows, std::uint64_t{blocks.first} * config.block,
             std::uint64_t{blocks.end()} * config.block, section.rows);
  };
  for (std::uint32_t head = 0; head < config.n_heads; ++head) {
    if (section.kind == kWq && heads.contains(head)) {
      add_rows(rows, head * size, (head + 1) * size, section.rows);
    }
  }
  for (std::uint32_t kv = 0; kv < config.n_kv_heads; ++kv) {
    bool is_read = false;
    for (std::uint32_t i = 0; i < heads.count; ++i) {
      is_read = is_read || heads.head(i) / group == kv;
    }
    if ((section.kind == kWk || section.kind == kWv) && is_read) {
      add_rows(rows, kv * size, (kv + 1) * size, section.rows);
    }
  }
  if (section.kind == kEmbedding || section.kind == kClassifier) {
    add_rows(rows, slice.vocabulary.first, slice.vocabulary.end(), section.rows);
  }
  if (section.kind == kWo || section.kind == kDown) add_blocks(slice.residual_blocks);
  if (section.kind == kGate || section.kind == kUp) {
    add_blocks(slice.hidden(static_cast<std::uint32_t>(section.layer) - 1));
  }
  return rows;
}

/// Scale, factors and weights of a row, as they stand in the image.
Bytes row_bytes(const SpecSection& section, std::uint64_t row) {
  Bytes bytes;
  const auto add = [&](std::uint64_t offset, std::uint64_t count) {
    const auto begin = section.bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    bytes.insert(bytes.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  add(2 * row, 2);
  if (section.format == 2) {
    add(section.factors_offset() + row * section.blocks(), section.blocks());
  }
  add(section.weights_offset() + row * section.row_bytes(), section.row_bytes());
  return bytes;
}

void expect_rows(const SpecSection& part, const SpecSection& whole,
                 const std::vector<std::uint64_t>& rows) {
  ASSERT_EQ(part.rows, rows.size());
  ASSERT_EQ(part.columns, whole.columns);
  ASSERT_EQ(part.block, whole.block);
  ASSERT_EQ(part.format, whole.format);
  ASSERT_EQ(part.exponent, whole.exponent);
  ASSERT_EQ(part.size, rows.empty() ? 0 : part.weights_offset() + rows.size() * part.row_bytes());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(row_bytes(part, i), row_bytes(whole, rows[i])) << "row " << rows[i];
  }
}

/// Of a linear layer: the header and the decays of the K/V heads that are read.
Bytes expected_attention(const SpecSection& whole, const ModelConfig& config, const Slice& slice) {
  Bytes bytes(whole.bytes.begin(), whole.bytes.begin() + 16);
  if (whole.bytes.size() == 16) return bytes;
  SpecSection keys;
  keys.kind = kWk;
  keys.rows = config.kv_dim();
  for (const std::uint64_t row : expected_rows(keys, config, slice)) {
    if (row % config.head_size != 0) continue;
    const auto decay =
        whole.bytes.begin() + static_cast<std::ptrdiff_t>(16 + 4 * (row / config.head_size));
    bytes.insert(bytes.end(), decay, decay + 4);
  }
  return bytes;
}

/// Those of the rows that the matrix has, which stands nine kinds before.
Bytes expected_biases(const SpecSection& whole, const ModelConfig& config, const Slice& slice) {
  SpecSection matrix;
  matrix.kind = whole.kind - 9;
  matrix.rows = whole.rows;
  Bytes bytes;
  for (const std::uint64_t row : expected_rows(matrix, config, slice)) {
    const auto bias = whole.bytes.begin() + static_cast<std::ptrdiff_t>(4 * row);
    bytes.insert(bytes.end(), bias, bias + 4);
  }
  return bytes;
}

void expect_info(const Image& shard, const ShardInfo& expected) {
  ASSERT_TRUE(shard.is_shard());
  const ShardInfo& info = shard.shard();
  EXPECT_EQ(info.rank, expected.rank);
  EXPECT_EQ(info.chips, expected.chips);
  EXPECT_EQ(info.policy, expected.policy);
  EXPECT_TRUE(std::ranges::equal(info.weights, expected.weights));
  EXPECT_TRUE(std::ranges::equal(info.model, expected.model));
  EXPECT_TRUE(std::ranges::equal(shard.model_hash(), expected.model));
  EXPECT_EQ(shard.held().heads, expected.slice.heads);
  EXPECT_EQ(shard.held().hidden_blocks, expected.slice.hidden_blocks);
  EXPECT_EQ(shard.held().residual_blocks, expected.slice.residual_blocks);
  EXPECT_EQ(shard.held().vocabulary, expected.slice.vocabulary);
  EXPECT_TRUE(std::ranges::equal(shard.held().hidden_by_layer, expected.slice.hidden_by_layer));
}

/// Every section of a shard against the whole image.
void expect_shard(const Whole& whole, const ShardInfo& info) {
  const Bytes bytes = shard_bytes(whole.image(), info);
  const AlignedBytes memory(bytes);
  Image shard;
  ASSERT_EQ(shard.open(memory.span()), Status::ok);
  expect_info(shard, info);
  const SpecImage parsed = test::parse_image(bytes);
  const std::size_t without_tokenizer = info.rank == 0 ? 0 : 1;
  ASSERT_EQ(parsed.sections.size(), whole.spec.sections.size() + 1 - without_tokenizer);
  for (const SpecSection& part : parsed.sections) {
    if (part.kind == kShard) continue;
    SCOPED_TRACE("kind " + std::to_string(part.kind) + ", layer " + std::to_string(part.layer));
    const SpecSection& origin = whole.spec.find(part.kind, part.layer);
    if (origin.format != 0) {
      expect_rows(part, origin, expected_rows(origin, shard.config(), info.slice));
    } else if (part.kind >= kBq && part.kind <= kBo) {
      EXPECT_EQ(part.bytes, expected_biases(origin, shard.config(), info.slice));
      EXPECT_EQ(part.rows, part.bytes.size() / 4);
    } else if (part.kind == kAttention) {
      EXPECT_EQ(part.bytes, expected_attention(origin, shard.config(), info.slice));
    } else {
      EXPECT_EQ(part.bytes, origin.bytes);
    }
  }
}

const std::vector<std::uint8_t> kUnequal = {3, 0, 1, 255};

TEST(ImageShard, has_its_rows_of_the_whole_model) {
  for (const ModelSpec& model : models()) {
    const Whole whole(model);
    for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
      for (const std::size_t chips : {1U, 2U, 3U, 4U, 7U, 8U, 16U}) {
        const Cut cut(whole.image(), policy, std::vector<std::uint8_t>(chips, 1));
        for (std::uint32_t rank = 0; rank < chips; ++rank) {
          SCOPED_TRACE(std::to_string(rank) + " of " + std::to_string(chips));
          expect_shard(whole, cut.info(whole.image(), rank));
        }
      }
      const Cut unequal(whole.image(), policy, kUnequal);
      for (std::uint32_t rank = 0; rank < 4; ++rank) {
        expect_shard(whole, unequal.info(whole.image(), rank));
      }
    }
  }
}

/// Rows that are no consequence of any partition, and the end of the last block of each kind.
TEST(ImageShard, may_have_any_rows) {
  const Whole whole(ragged_model(WeightFormat::int4));
  const std::vector<Range> hidden = {{9, 1}, {0, 0}, {3, 7}};
  const std::vector<std::uint8_t> weights = {0, 9};
  for (const HeadSet& heads : {HeadSet{1, 3, 2}, HeadSet{0, 2, 5}, HeadSet{6, 0, 64},
                               HeadSet{5, 1, 64}, HeadSet{2, 4, 1}}) {
    ShardInfo info = {1, 2, HeadPolicy::round_robin, weights, whole.image().content_hash(), {}};
    info.slice = {heads, hidden[0], {3, 1}, {269, 1}, hidden};
    expect_shard(whole, info);
    info.slice.residual_blocks = {4, 0};
    info.slice.vocabulary = {270, 0};
    expect_shard(whole, info);
  }
}

TEST(ImageShard, the_rows_of_all_shards_add_up) {
  for (const ModelSpec& model : models()) {
    const OpenImage whole(model);
    for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
      for (const std::size_t chips : {1U, 2U, 3U, 5U, 16U, 64U}) {
        const Cut cut(whole.image(), policy, std::vector<std::uint8_t>(chips, 1));
        for (std::uint32_t i = 0; i < whole->section_count(); ++i) {
          const Section section = whole->section(i);
          if (section.format == WeightFormat::raw) continue;
          std::uint64_t rows = 0;
          for (std::uint32_t rank = 0; rank < chips; ++rank) {
            rows += held_row_count(section.kind, section.layer, whole->config(),
                                   cut.partition.slice(rank));
          }
          const bool may_repeat =
              section.kind == SectionKind::wk || section.kind == SectionKind::wv;
          EXPECT_GE(rows, section.rows);
          // Chips share a K/V head only where there are not enough of them to go round.
          const bool keeps_groups =
              policy == HeadPolicy::contiguous && chips <= whole->config().n_kv_heads;
          if (!may_repeat || keeps_groups) {
            EXPECT_EQ(rows, section.rows) << i;
          }
        }
      }
    }
  }
}

TEST(ImageShard, a_whole_image_holds_everything_as_one_chip) {
  const OpenImage whole(test::tiny_model());
  EXPECT_FALSE(whole->is_shard());
  EXPECT_EQ(whole->shard().rank, 0U);
  EXPECT_EQ(whole->shard().chips, 1U);
  EXPECT_EQ(whole->shard().weights.size(), 1U);
  EXPECT_TRUE(whole->shard().model.empty());
  EXPECT_TRUE(whole->held().hidden_by_layer.empty());
  EXPECT_EQ(whole->held().heads, (HeadSet{0, 2, 1}));
  EXPECT_EQ(whole->held().vocabulary, (Range{0, 5}));
  EXPECT_EQ(whole->model_hash().data(), whole->content_hash().data());
}

/// A shard that relays only: no row of anything, so that the last sections are empty.
TEST(ImageShard, a_chip_of_weight_0_has_a_shard_too) {
  const Whole whole(linear_model());
  const Cut cut(whole.image(), HeadPolicy::contiguous, {1, 0, 1});
  const Bytes bytes = shard_bytes(whole.image(), cut.info(whole.image(), 1));
  const OpenImage shard(bytes);
  for (std::uint32_t i = 0; i < shard->section_count(); ++i) {
    const Section section = shard->section(i);
    if (section.format == WeightFormat::raw) continue;
    EXPECT_EQ(section.rows, 0U);
    EXPECT_EQ(section.bytes, 0U);
    EXPECT_EQ(shard->matrix(section.kind, section.layer).rows, 0U);
  }
  EXPECT_LT(bytes.size(), whole.bytes.size() / 8);
}

}  // namespace
}  // namespace mote
