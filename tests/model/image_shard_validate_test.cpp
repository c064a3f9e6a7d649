// SPDX-License-Identifier: Apache-2.0
// Every rule of SPEC.md's "Shard" has an image here that breaks it and is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <vector>

#include "support/damaged_image.hpp"
#include "support/image_factory.hpp"
#include "support/image_parts.hpp"
#include "support/mixed_models.hpp"
#include "support/shard_factory.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Bytes;
using test::Cut;
using test::DamagedImage;
using test::index_of;
using test::OpenImage;
using test::parts_of;
using test::shard_bytes;
using Part = test::ImagePart;

constexpr std::uint64_t kShard = 8;

/// Rank 1 of 3 of the tiny model: head 1 of 2, the last two tokens but one, and of the one hidden
/// block nothing in layer 0 and all in layer 1.
const Bytes& good_shard() {
  static const Bytes kGood = [] {
    const OpenImage whole(test::tiny_model());
    const std::vector<Range> hidden = {{0, 0}, {0, 1}};
    const std::vector<std::uint8_t> weights = {2, 1, 1};
    ShardInfo info = {1, 3, HeadPolicy::contiguous, weights, whole->content_hash(), {}};
    info.slice = {{1, 1, 1}, hidden[0], {0, 1}, {2, 2}, hidden};
    return shard_bytes(whole.image(), info);
  }();
  return kGood;
}

Status open(const Bytes& bytes, Verify verify = Verify::full) {
  const AlignedBytes memory(bytes);
  Image image;
  const Status status = image.open(memory.span(), verify);
  EXPECT_EQ(image.is_shard(), status == Status::ok);
  return status;
}

using Change = std::function<void(DamagedImage&, std::size_t section)>;

/// The good shard with a change, all checksums made right.
Status open_changed(const Change& change) {
  DamagedImage image(good_shard());
  change(image, image.section(SectionKind::shard));
  image.seal();
  const Status structure = open(image.bytes(), Verify::structure);
  const Status full = open(image.bytes());
  EXPECT_EQ(full, structure);
  return full;
}

/// With another number in `bytes` bytes at `place` of the shard section.
Status open_with(std::size_t place, std::uint64_t value, std::size_t bytes) {
  return open_changed(
      [=](DamagedImage& image, std::size_t section) { image.put(section + place, value, bytes); });
}

TEST(ImageShardValidate, stands_as_the_specification_says) {
  ASSERT_EQ(open(good_shard()), Status::ok);
  const Bytes section = test::parse_image(good_shard()).find(kShard).bytes;
  const auto number = [&](std::size_t at, std::size_t count) {
    return test::number_at(section, at, count);
  };
  ASSERT_EQ(section.size(), 144U + 2 * 8);
  EXPECT_EQ(number(0, 4), 0x000301U);  // rank, chips, policy
  const std::uint64_t words[] = {2, 1, 1, 1, 0, 1, 2, 2, 0, 0, 0};
  for (std::size_t i = 0; i < std::size(words); ++i) EXPECT_EQ(number(4 + 4 * i, 4), words[i]) << i;
  const OpenImage whole(test::tiny_model());
  EXPECT_TRUE(std::ranges::equal(whole->content_hash(), std::span(section).subspan(48, 32)));
  EXPECT_EQ(number(80, 8), 0x010102U);
  for (std::size_t i = 88; i < 144; ++i) EXPECT_EQ(section[i], 0U);
  EXPECT_EQ(number(144, 8), 0U);
  EXPECT_EQ(number(152, 8), 0x1'0000'0000U);
}

/// A field with values that are valid for themselves and values that are not.
struct Field {
  const char* name;
  std::size_t place;
  std::size_t bytes;
  std::vector<std::uint64_t> valid;
  std::vector<std::uint64_t> refused;
};

const Field kFields[] = {
    {"rank", 0, 1, {0, 1, 2}, {3, 4, 64, 255}},
    {"chips", 1, 1, {3}, {0, 1, 2, 65, 255}},  // fewer leave a weight behind the last
    {"policy", 2, 1, {0, 1}, {2, 3, 255}},
    {"reserved", 3, 1, {0}, {1, 0x80, 255}},
    {"period", 4, 4, {2}, {0, 1, 3, 256, 0xffffffff}},
    {"heads first", 8, 4, {0, 1}, {2, 3, 0x80000000, 0xffffffff}},
    {"heads count", 12, 4, {0, 1}, {2, 3, 0x80000000, 0xffffffff}},
    {"heads stride", 16, 4, {1, 2, 64}, {0, 65, 0xffffffff}},
    {"residual first", 20, 4, {0}, {1, 2, 0xffffffff}},
    {"residual count", 24, 4, {0, 1}, {2, 0x10000000, 0xffffffff}},
    {"vocabulary first", 28, 4, {0, 3}, {4, 5, 0xffffffff, 0xfffffffe}},
    {"vocabulary count", 32, 4, {0, 3}, {4, 0xffffffff, 0xfffffffe}},
    {"reserved", 36, 4, {0}, {1, 0x80000000}},
    {"reserved", 40, 4, {0}, {1, 0x80000000}},
    {"reserved", 44, 4, {0}, {1, 0x80000000}},
    {"model hash", 48, 8, {0, 1}, {}},
    {"weights", 80, 3, {1, 0x010000, 0xffffff}, {0}},
    {"weights behind", 83, 1, {0}, {1, 255}},
    {"weights behind", 143, 1, {0}, {1, 255}},
    {"hidden first", 144, 4, {0, 1}, {2, 0xffffffff}},
    {"hidden count", 148, 4, {0, 1}, {2, 0xffffffff}},
    {"hidden first", 152, 4, {0}, {1, 0xffffffff}},
    {"hidden count", 156, 4, {0, 1}, {2, 0x80000000}},
};

TEST(ImageShardValidate, holds_every_field_to_its_range) {
  for (const Field& field : kFields) {
    for (const std::uint64_t value : field.valid) {
      // The rows may now be others, but what the shard says is possible.
      const Status status = open_with(field.place, value, field.bytes);
      EXPECT_TRUE(status == Status::ok || status == Status::image_bad_shape)
          << field.name << " " << value << ": " << status_text(status);
    }
    for (const std::uint64_t value : field.refused) {
      EXPECT_EQ(open_with(field.place, value, field.bytes), Status::image_bad_shard)
          << field.name << " " << value;
    }
  }
}

TEST(ImageShardValidate, a_chip_without_heads_may_stand_behind_the_last) {
  const auto status = [](std::uint64_t first, std::uint64_t count, std::uint64_t stride) {
    return open_changed([=](DamagedImage& image, std::size_t section) {
      image.put(section + 8, first);
      image.put(section + 12, count);
      image.put(section + 16, stride);
    });
  };
  EXPECT_EQ(status(2, 0, 1), Status::image_bad_shape);  // rows of wq are there
  EXPECT_EQ(status(3, 0, 1), Status::image_bad_shard);
  EXPECT_EQ(status(0, 2, 2), Status::image_bad_shard);
  EXPECT_EQ(status(1, 1, 64), Status::ok);
  EXPECT_EQ(status(1, 0x04000001, 64), Status::image_bad_shard);  // wraps to 1 in 32 bits
  EXPECT_EQ(status(1, 0xffffffff, 2), Status::image_bad_shard);
}

TEST(ImageShardValidate, more_than_64_chips_are_refused) {
  EXPECT_EQ(open_changed([](DamagedImage& image, std::size_t section) {
              image.put(section + 1, 64, 1);
              for (std::size_t i = 0; i < 64; ++i) image.put(section + 80 + i, 255, 1);
            }),
            Status::ok);
  EXPECT_EQ(open_with(1, 65, 1), Status::image_bad_shard);
}

Status open_parts(const std::vector<Part>& parts) {
  return open(test::write_parts(parts));
}

TEST(ImageShardValidate, the_section_ends_with_the_last_range) {
  const std::vector<Part> all = parts_of(good_shard());
  const std::size_t shard = index_of(all, SectionKind::shard, 0);
  for (const std::size_t size : {0U, 1U, 47U, 143U, 144U, 152U, 159U, 161U, 168U}) {
    std::vector<Part> parts = all;
    parts[shard].bytes.resize(size);
    EXPECT_EQ(open_parts(parts), Status::image_bad_shard) << size;
  }
}

TEST(ImageShardValidate, the_period_may_be_any_up_to_the_layers) {
  for (const std::uint8_t period : std::initializer_list<std::uint8_t>{1, 2}) {
    std::vector<Part> parts = parts_of(good_shard());
    Part& shard = parts[index_of(parts, SectionKind::shard, 0)];
    shard.bytes.resize(144U + 8U * period);
    shard.bytes[4] = period;
    shard.bytes[148] = 0;
    // With one range layer 1 has no rows either.
    EXPECT_EQ(open_parts(parts), period == 1 ? Status::image_bad_shape : Status::ok);
  }
  std::vector<Part> parts = parts_of(good_shard());
  Part& shard = parts[index_of(parts, SectionKind::shard, 0)];
  shard.bytes.resize(144 + 8 * 3);
  shard.bytes[4] = 3;
  EXPECT_EQ(open_parts(parts), Status::image_bad_shard);
}

TEST(ImageShardValidate, has_no_shape) {
  const std::size_t entry = DamagedImage(good_shard()).entry(SectionKind::shard, 0);
  for (const std::size_t field : {16U, 20U, 24U, 25U, 26U}) {
    EXPECT_EQ(
        open_changed([=](DamagedImage& image, std::size_t) { image.put(entry + field, 1, 1); }),
        Status::image_bad_shape)
        << field;
  }
}

TEST(ImageShardValidate, demands_every_section_but_classifier_and_tokenizer) {
  const std::vector<Part> all = parts_of(good_shard());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const SectionKind kind = all[i].section.kind;
    if (kind == SectionKind::shard) continue;
    std::vector<Part> parts = all;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i));
    const bool may_be_absent = kind == SectionKind::classifier;
    EXPECT_EQ(open_parts(parts), may_be_absent ? Status::ok : Status::image_section_missing) << i;
  }
  std::vector<Part> parts = all;
  parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(index_of(all, SectionKind::shard, 0)));
  EXPECT_EQ(open_parts(parts), Status::image_bad_shape);  // now a whole one, with a shard's rows
}

TEST(ImageShardValidate, a_whole_image_with_rows_of_a_shard_is_refused) {
  std::vector<Part> parts = parts_of(good_shard());
  const std::vector<Part> whole = parts_of(make_image(test::tiny_model()));
  const Part& tokenizer = whole[index_of(whole, SectionKind::tokenizer, 0)];
  parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(index_of(parts, SectionKind::shard, 0)));
  parts.insert(parts.begin() + 2, tokenizer);
  EXPECT_EQ(open_parts(parts), Status::image_bad_shape);
}

TEST(ImageShardValidate, any_chip_may_have_the_tokenizer) {
  std::vector<Part> parts = parts_of(good_shard());
  const std::vector<Part> whole = parts_of(make_image(test::tiny_model()));
  parts.insert(parts.begin() + 2, whole[index_of(whole, SectionKind::tokenizer, 0)]);
  EXPECT_EQ(open_parts(parts), Status::ok);
}

TEST(ImageShardValidate, refuses_every_other_number_of_rows) {
  const std::vector<Part> all = parts_of(good_shard());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Section& section = all[i].section;
    if (section.format == WeightFormat::raw) continue;
    for (const int step : {-1, 1}) {
      if (section.rows == 0 && step < 0) continue;
      std::vector<Part> parts = all;
      Section& changed = parts[i].section;
      changed.rows += static_cast<std::uint32_t>(step);
      parts[i].bytes.resize(
          matrix_layout(changed.rows, changed.columns, changed.block, changed.format).bytes);
      EXPECT_EQ(open_parts(parts), Status::image_bad_shape) << i;
    }
  }
}

TEST(ImageShardValidate, linear_layers_have_the_decays_of_the_local_heads) {
  const OpenImage whole(test::mixed_model({test::linear({9, 8}), test::linear({7, 6})}));
  const Cut cut(whole.image(), HeadPolicy::contiguous, {1, 1});
  const std::vector<Part> all = parts_of(shard_bytes(whole.image(), cut.info(whole.image(), 1)));
  for (const std::uint32_t layer : {1U, 2U}) {
    const std::size_t at = index_of(all, SectionKind::attention, layer);
    ASSERT_EQ(all[at].bytes.size(), 16U + 4);
    for (const std::size_t size : {16U, 19U, 21U, 24U, 28U}) {
      std::vector<Part> parts = all;
      parts[at].bytes.resize(size, 1);
      EXPECT_EQ(open_parts(parts), Status::image_bad_attention) << size;
    }
  }
}

TEST(ImageShardValidate, refuses_every_flipped_bit) {
  Bytes bytes = good_shard();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto bit = static_cast<std::uint8_t>(1U << (i % 8));
    bytes[i] ^= bit;
    ASSERT_NE(open(bytes), Status::ok) << "byte " << i;
    bytes[i] ^= bit;
  }
}

TEST(ImageShardValidate, refuses_every_truncation) {
  for (std::size_t size = 0; size < good_shard().size(); ++size) {
    const Bytes part(good_shard().begin(),
                     good_shard().begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_EQ(open(part), Status::image_truncated) << size << " bytes";
  }
}

}  // namespace
}  // namespace mote
