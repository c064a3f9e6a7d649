// SPDX-License-Identifier: Apache-2.0
// SPEC.md's "Biases": what an image may say of them, and every rule broken and refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "model/image_validate.hpp"
#include "support/damaged_image.hpp"
#include "support/image_factory.hpp"
#include "support/image_parts.hpp"
#include "support/mixed_models.hpp"
#include "support/running_model.hpp"
#include "support/shard_factory.hpp"
#include "support/sliced_model.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Bytes;
using test::OpenImage;
using test::parts_of;
using test::write_parts;
using Part = test::ImagePart;

constexpr SectionKind kBiases[] = {SectionKind::bq, SectionKind::bk, SectionKind::bv,
                                   SectionKind::bo};

/// Two layers, biases everywhere, rows of every kind of another number.
test::ModelSpec biased_model() {
  test::ModelSpec model = test::with_biases(test::tiny_model());
  model.shape.dim = 10;
  model.shape.n_heads = 4;
  model.shape.n_kv_heads = 2;
  return model;
}

const Bytes& good_image() {
  static const Bytes kGood = make_image(biased_model());
  return kGood;
}

Status open(const Bytes& bytes) {
  const AlignedBytes memory(bytes);
  Image image;
  return image.open(memory.span());
}

/// The status after `change` of one section of biases.
Status open_changed(SectionKind kind, std::uint16_t layer, const std::function<void(Part&)>& change,
                    const Bytes& image = good_image()) {
  std::vector<Part> parts = parts_of(image);
  change(parts[test::index_of(parts, kind, layer)]);
  return open(write_parts(parts));
}

TEST(ImageBias, are_what_the_checkpoint_says_in_the_units_of_the_spec) {
  const Bytes bytes = good_image();
  const OpenImage image(bytes);
  const test::SpecImage spec = test::parse_image(bytes);
  for (const std::uint32_t layer : {1U, 2U}) {
    for (const SectionKind kind : kBiases) {
      const auto number = static_cast<std::uint64_t>(kind);
      const test::SpecSection& section = spec.find(number, layer);
      EXPECT_EQ(section.rows, spec.find(number - 9, layer).rows);
      EXPECT_EQ(section.size, 4 * section.rows);
      EXPECT_EQ(section.columns + section.format + section.block, 0U);
      EXPECT_EQ(section.exponent, 0);
      const std::int32_t* biases = image->biases(biased_kind(kind), layer);
      ASSERT_NE(biases, nullptr);
      for (std::uint64_t i = 0; i < section.rows; ++i) {
        EXPECT_EQ(static_cast<std::uint32_t>(biases[i]), test::number_at(section.bytes, 4 * i, 4));
      }
    }
  }
}

TEST(ImageBias, each_may_be_absent) {
  const std::vector<Part> all = parts_of(good_image());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!is_bias(all[i].section.kind)) continue;
    std::vector<Part> parts = all;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i));
    const OpenImage image(write_parts(parts));
    const Section& absent = all[i].section;
    EXPECT_EQ(image->biases(biased_kind(absent.kind), absent.layer), nullptr);
    EXPECT_NE(image->biases(biased_kind(absent.kind), 3 - absent.layer), nullptr);
  }
  const OpenImage plain(test::tiny_model());
  for (const SectionKind kind : kBiases) EXPECT_EQ(plain->biases(biased_kind(kind), 1), nullptr);
}

TEST(ImageBias, have_one_value_a_row) {
  for (const SectionKind kind : kBiases) {
    for (const std::uint16_t layer : std::initializer_list<std::uint16_t>{1, 2}) {
      for (const int step : {-4, -3, -1, 1, 3, 4, 32}) {
        EXPECT_EQ(open_changed(kind, layer,
                               [&](Part& part) {
                                 part.bytes.resize(static_cast<std::size_t>(
                                     static_cast<int>(part.bytes.size()) + step));
                               }),
                  Status::image_bad_shape);
      }
      for (const std::uint32_t rows : {0U, 1U, 3U, 5U, 7U, 16U, 0x40000000U}) {
        EXPECT_EQ(open_changed(kind, layer,
                               [&](Part& part) {
                                 part.section.rows = rows;
                                 if (rows < 100) part.bytes.resize(std::size_t{4} * rows);
                               }),
                  Status::image_bad_shape)
            << rows;
      }
      EXPECT_EQ(open_changed(kind, layer, [](Part& part) { part.bytes.clear(); }),
                Status::image_bad_shape);
    }
  }
}

TEST(ImageBias, have_neither_columns_nor_block_nor_exponent_nor_format) {
  const std::function<void(Section&)> changes[] = {
      [](Section& section) { section.columns = 1; },
      [](Section& section) { section.columns = section.rows; },
      [](Section& section) { section.columns = std::exchange(section.rows, 0U); },
      [](Section& section) { section.block = 16; },
      [](Section& section) { section.exponent = 1; },
      [](Section& section) { section.exponent = -20; },
      [](Section& section) { section.format = WeightFormat::int8; },
      [](Section& section) { section.format = WeightFormat::int4; },
      [](Section& section) { section.format = WeightFormat::int8_pairs; },
      [](Section& section) { section.format = static_cast<WeightFormat>(4); }};
  for (const SectionKind kind : kBiases) {
    for (const auto& change : changes) {
      EXPECT_EQ(open_changed(kind, 1, [&](Part& part) { change(part.section); }),
                Status::image_bad_shape);
    }
  }
}

TEST(ImageBias, belong_to_a_layer_of_the_model) {
  for (const SectionKind kind : kBiases) {
    for (const std::uint16_t layer : std::initializer_list<std::uint16_t>{0, 3, 257, 65535}) {
      EXPECT_EQ(open_changed(kind, 1, [&](Part& part) { part.section.layer = layer; }),
                Status::image_bad_section_table)
          << layer;
    }
  }
}

TEST(ImageBias, of_a_matrix_that_has_none_are_refused) {
  for (const SectionKind kind : kBiases) {
    for (const std::uint16_t other :
         std::initializer_list<std::uint16_t>{9, 16, 21, 30, 31, 32, 33, 65535}) {
      EXPECT_EQ(
          open_changed(kind, 1,
                       [&](Part& part) { part.section.kind = static_cast<SectionKind>(other); }),
          Status::image_bad_section_table)
          << other;
    }
  }
}

TEST(ImageBias, a_shard_has_those_of_its_rows_alone) {
  const OpenImage whole(good_image());
  const test::Cut cut(whole.image(), HeadPolicy::round_robin, {1, 1, 1});
  for (const std::uint32_t rank : {0U, 1U, 2U}) {
    const Bytes shard = test::shard_bytes(whole.image(), cut.info(whole.image(), rank));
    for (const SectionKind kind : kBiases) {
      const OpenImage opened(shard);
      Section section;
      ASSERT_TRUE(opened->find(section, kind, 1));
      const std::uint32_t rows = section.rows;
      EXPECT_EQ(open_changed(
                    kind, 1, [](Part&) {}, shard),
                Status::ok);
      for (const std::uint32_t other : {rows + 1, rows + 2, rows == 0 ? 4 : rows - 1}) {
        const auto change = [&](Part& part) {
          part.section.rows = other;
          part.bytes.resize(std::size_t{4} * other);
        };
        EXPECT_EQ(open_changed(kind, 1, change, shard), Status::image_bad_shape);
      }
    }
  }
}

TEST(ImageBias, every_flipped_bit_is_refused) {
  Bytes bytes = good_image();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto bit = static_cast<std::uint8_t>(1U << (i % 8));
    bytes[i] ^= bit;
    ASSERT_NE(open(bytes), Status::ok) << "byte " << i;
    bytes[i] ^= bit;
  }
}

/// Every pattern is a bias: sums saturate, and chips agree on them.
TEST(ImageBias, of_any_size_saturate_alike_on_any_number_of_chips) {
  std::vector<Part> parts = parts_of(good_image());
  std::uint32_t turn = 0;
  for (Part& part : parts) {
    if (!is_bias(part.section.kind)) continue;
    for (std::size_t i = 0; i + 4 <= part.bytes.size(); i += 4) {
      constexpr std::uint8_t kTops[] = {0x7f, 0x80, 0x00, 0x40, 0xbf};
      std::fill_n(part.bytes.begin() + static_cast<std::ptrdiff_t>(i), 3, turn % 2 ? 0xff : 0);
      part.bytes[i + 3] = kTops[turn++ % 5];
    }
  }
  const OpenImage image(write_parts(parts));
  const RunConfig run = {6, 2, 5};
  const test::Tokens tokens = test::random_tokens(5, 6);
  test::RunningModel whole(image.image(), run);
  const auto slices = test::split(image->config(), {1, 1});
  test::SlicedModel cluster(image.image(), run, slices);
  for (std::size_t i = 0; i < tokens.size(); i += 2) {
    const auto pair = std::span(tokens).subspan(i, 2);
    cluster.pass(pair);
    EXPECT_EQ(cluster.logits(), whole.logits_after(pair));
  }
}

}  // namespace
}  // namespace mote
