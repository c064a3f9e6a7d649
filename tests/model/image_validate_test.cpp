// SPDX-License-Identifier: Apache-2.0
// Every rule of SPEC.md's image has an image here that breaks it and is refused; those of attention
// sections are in image_attention_test.cpp.
#include "model/image_validate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "convert/image_writer.hpp"
#include "support/damaged_image.hpp"
#include "support/image_factory.hpp"
#include "support/random.hpp"
#include "support/temporary_file.hpp"

namespace mote {

namespace {

using test::AlignedBytes;
using test::Bytes;
using test::DamagedImage;

const Bytes& good_image() {
  static const Bytes kImage = make_image(test::tiny_model());
  return kImage;
}

/// Opens `bytes` with a view of a good image; where that fails the view must not have changed.
Status open(const Bytes& bytes, Verify verify = Verify::full) {
  static const AlignedBytes kGood(good_image());
  Image image;
  EXPECT_EQ(image.open(kGood.span()), Status::ok);
  const AlignedBytes memory(bytes);
  const Status status = image.open(memory.span(), verify);
  const auto expected = status == Status::ok ? memory.span() : kGood.span();
  EXPECT_EQ(image.bytes().data(), expected.data());
  EXPECT_EQ(image.bytes().size(), expected.size());
  if (status != Status::ok) {
    EXPECT_EQ(image.config().dim, 4U);
    EXPECT_EQ(image.section_count(), 21U);
  }
  return status;
}

using Change = std::function<void(DamagedImage&)>;

/// The good image with a change, all checksums made right.
Status open_changed(const Change& change) {
  DamagedImage image(good_image());
  change(image);
  image.seal();
  const Status structure = open(image.bytes(), Verify::structure);
  const Status full = open(image.bytes());
  if (structure != Status::ok) {
    EXPECT_EQ(full, structure);
  }
  return full;
}

Status open_with(std::size_t offset, std::uint64_t value, std::size_t count) {
  return open_changed([=](DamagedImage& image) { image.put(offset, value, count); });
}

TEST(ImageValidate, accepts_a_good_image) {
  EXPECT_EQ(open(good_image()), Status::ok);
  EXPECT_EQ(open(good_image(), Verify::structure), Status::ok);
  EXPECT_EQ(open_changed([](DamagedImage&) {}), Status::ok);
}

TEST(ImageValidate, refuses_every_base_that_is_not_aligned) {
  for (std::size_t shift = 1; shift < kSectionAlignment; ++shift) {
    const AlignedBytes memory(good_image(), shift);
    Image image;
    EXPECT_EQ(image.open(memory.span()), Status::image_misaligned) << shift;
  }
}

TEST(ImageValidate, refuses_every_truncation) {
  for (std::size_t size = 0; size < good_image().size(); ++size) {
    const Bytes part(good_image().begin(),
                     good_image().begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_EQ(open(part), Status::image_truncated) << size << " bytes";
    ASSERT_EQ(open(part, Verify::structure), Status::image_truncated) << size << " bytes";
  }
}

TEST(ImageValidate, refuses_truncations_that_the_header_admits) {
  for (std::size_t size = 64; size < good_image().size(); ++size) {
    DamagedImage image(
        {good_image().begin(), good_image().begin() + static_cast<std::ptrdiff_t>(size)});
    image.put(12, size);
    image.seal();
    const Status status = open(image.bytes());
    const bool holds_table = size >= DamagedImage::entry(image.section_count());
    ASSERT_EQ(status,
              holds_table ? Status::image_section_out_of_range : Status::image_bad_section_table)
        << size << " bytes";
  }
}

TEST(ImageValidate, refuses_bytes_behind_the_end) {
  Bytes longer = good_image();
  longer.push_back(0);
  EXPECT_EQ(open(longer), Status::image_bad_size);
  DamagedImage image(longer);
  image.put(12, longer.size());
  image.seal();
  EXPECT_EQ(open(image.bytes()), Status::image_bad_size);
}

TEST(ImageValidate, refuses_every_flipped_bit) {
  Bytes bytes = good_image();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto bit = static_cast<std::uint8_t>(1U << (i % 8));
    bytes[i] ^= bit;
    ASSERT_NE(open(bytes), Status::ok) << "byte " << i;
    bytes[i] ^= bit;
  }
}

TEST(ImageValidate, refuses_every_damaged_field_of_the_header) {
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(open_with(i, good_image()[i] ^ 0x20U, 1), Status::image_bad_magic);
  }
  for (const std::uint64_t version : {0U, 2U, 256U, 65535U}) {
    EXPECT_EQ(open_with(8, version, 2), Status::image_bad_version);
  }
  EXPECT_EQ(open_with(12, good_image().size() + 1, 4), Status::image_truncated);
  EXPECT_EQ(open_with(12, good_image().size() - 1, 4), Status::image_bad_size);
  for (const std::uint64_t count : {0ULL, 65536ULL, 0xffffffffULL, 65535ULL}) {
    EXPECT_EQ(open_with(16, count, 4), Status::image_bad_section_table) << count;
  }
  for (const std::size_t reserved : {10U, 11U, 24U, 25U, 26U, 27U, 28U, 29U, 30U, 31U}) {
    EXPECT_EQ(open_with(reserved, 1, 1), Status::image_bad_section_table) << reserved;
    EXPECT_EQ(open_with(reserved, 0x80, 1), Status::image_bad_section_table) << reserved;
  }
}

TEST(ImageValidate, names_what_is_damaged_where_a_checksum_is_wrong) {
  Bytes bytes = good_image();
  bytes[20] ^= 1;
  EXPECT_EQ(open(bytes, Verify::structure), Status::image_bad_header_crc);
  bytes = good_image();
  bytes[64 + 32 + 12] ^= 1;  // in the table
  EXPECT_EQ(open(bytes, Verify::structure), Status::image_bad_header_crc);
  bytes = good_image();
  bytes.back() ^= 1;
  EXPECT_EQ(open(bytes), Status::image_bad_section_crc);

  DamagedImage image(good_image());
  image.bytes()[32] ^= 1;
  image.seal_header();
  EXPECT_EQ(open(image.bytes()), Status::image_bad_hash);
}

TEST(ImageValidate, refuses_padding_between_sections_that_is_not_zero) {
  const DamagedImage good(good_image());
  std::size_t end = DamagedImage::entry(good.section_count());
  std::size_t padding_count = 0;
  for (std::size_t i = 0; i < good.section_count(); ++i) {
    for (; end < good.get(DamagedImage::entry(i) + 4); ++end, ++padding_count) {
      EXPECT_EQ(open_with(end, 1, 1), Status::image_bad_hash) << "byte " << end;
    }
    end += good.get(DamagedImage::entry(i) + 8);
  }
  EXPECT_GT(padding_count, 100U);
}

TEST(ImageValidate, refuses_reserved_bytes_of_the_table) {
  const DamagedImage good(good_image());
  for (std::size_t i = 0; i < good.section_count(); ++i) {
    for (std::size_t byte = 27; byte < 32; ++byte) {
      EXPECT_EQ(open_with(DamagedImage::entry(i) + byte, 1, 1), Status::image_bad_section_table);
    }
  }
}

TEST(ImageValidate, refuses_tables_that_are_not_sorted) {
  const DamagedImage good(good_image());
  for (std::size_t i = 0; i + 1 < good.section_count(); ++i) {
    const std::size_t first = DamagedImage::entry(i);
    const std::uint64_t key = good.get(first);
    const std::uint64_t next_key = good.get(first + 32);
    EXPECT_EQ(open_with(first + 32, key, 4), Status::image_bad_section_table);
    EXPECT_EQ(open_with(first, next_key, 4), Status::image_bad_section_table);
    EXPECT_EQ(open_changed([=](DamagedImage& image) {
                image.put(first, next_key);
                image.put(first + 32, key);
              }),
              Status::image_bad_section_table);
  }
  EXPECT_EQ(open_with(64, 0, 4), Status::image_bad_section_table);
}

TEST(ImageValidate, refuses_sections_that_do_not_follow_one_another) {
  const DamagedImage good(good_image());
  const std::size_t last = good.section_count() - 1;
  for (std::size_t i = 0; i <= last; ++i) {
    const std::size_t place = DamagedImage::entry(i) + 4;
    const std::uint64_t offset = good.get(place);
    EXPECT_EQ(open_with(place, offset - 32, 4), Status::image_section_overlap);
    EXPECT_EQ(open_with(place, offset - 1, 4), Status::image_section_overlap);
    EXPECT_EQ(open_with(place, 0, 4), Status::image_section_overlap);
    // The last one would end past the image.
    const Status behind =
        i == last ? Status::image_section_out_of_range : Status::image_section_overlap;
    EXPECT_EQ(open_with(place, offset + 1, 4), behind);
    EXPECT_EQ(open_with(place, offset + 32, 4), behind);
  }
}

TEST(ImageValidate, refuses_sections_outside_the_image) {
  const DamagedImage good(good_image());
  for (std::size_t i = 0; i < good.section_count(); ++i) {
    const std::size_t entry = DamagedImage::entry(i);
    const std::uint64_t room = good_image().size() - good.get(entry + 4);
    for (const std::uint64_t bytes : {room + 1, std::uint64_t{0xffffffff}}) {
      EXPECT_EQ(open_with(entry + 8, bytes, 4), Status::image_section_out_of_range);
    }
    EXPECT_EQ(open_with(entry + 4, 0xffffffe0, 4), Status::image_section_out_of_range);
    // Offset and size wrap to a small number in 32 bits.
    EXPECT_EQ(open_with(entry + 4, 0xffffffff'ffffffe0ULL, 8), Status::image_section_out_of_range);
  }
  const std::size_t last = DamagedImage::entry(good.section_count() - 1);
  EXPECT_EQ(open_with(last + 8, good.get(last + 8) - 1, 4), Status::image_bad_size);
}

/// A section as the writer takes it.
struct Part {
  Section section;
  Bytes bytes;
};

std::vector<Part> good_parts() {
  static const AlignedBytes kGood(good_image());
  Image image;
  EXPECT_EQ(image.open(kGood.span()), Status::ok);
  std::vector<Part> parts;
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section section = image.section(i);
    const auto bytes = image.section_bytes(section.kind, section.layer);
    parts.push_back({section, {bytes.begin(), bytes.end()}});
  }
  return parts;
}

/// An image of any sections, each laid out and checksummed as it should be.
Status open_parts(const std::vector<Part>& parts) {
  const host::TemporaryFile file("mote-test");
  std::vector<Section> sections;
  for (const Part& part : parts) {
    sections.push_back(part.section);
    sections.back().bytes = static_cast<std::uint32_t>(part.bytes.size());
  }
  host::ImageWriter writer(file.path(), sections);
  for (const Part& part : parts) writer.write(part.bytes, part.section.exponent);
  writer.finish();
  return open(test::read_file(file.path()));
}

TEST(ImageValidate, demands_every_section_but_the_classifier) {
  const std::vector<Part> all = good_parts();
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<Part> parts = all;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i));
    const bool may_be_absent = all[i].section.kind == SectionKind::classifier;
    EXPECT_EQ(open_parts(parts), may_be_absent ? Status::ok : Status::image_section_missing) << i;
  }
}

TEST(ImageValidate, refuses_every_other_section) {
  const std::vector<Part> all = good_parts();
  const auto key = [](const Section& section) {
    return std::uint32_t{section.layer} << 16 | static_cast<std::uint32_t>(section.kind);
  };
  for (std::uint16_t layer = 0; layer < 5; ++layer) {
    for (std::uint16_t kind = 0; kind < 40; ++kind) {
      Part extra;
      extra.section.kind = static_cast<SectionKind>(kind);
      extra.section.layer = layer;
      extra.bytes.resize(64);
      const auto is_extra = [&](const Part& part) {
        return key(part.section) == key(extra.section);
      };
      // Shard, attention and biases.
      const bool may_be_there =
          (kind == 8 && layer == 0) || (kind >= 25 && kind <= 29 && layer >= 1 && layer <= 2);
      if (may_be_there || std::ranges::any_of(all, is_extra)) continue;
      std::vector<Part> parts = all;
      parts.push_back(extra);
      std::ranges::sort(parts, {}, [&](const Part& part) { return key(part.section); });
      EXPECT_EQ(open_parts(parts), Status::image_bad_section_table) << layer << " " << kind;
    }
  }
}

bool is_matrix(const Section& section) {
  return section.format != WeightFormat::raw;
}
bool is_gain(const Section& section) {
  return section.kind == SectionKind::final_norm;
}

TEST(ImageValidate, refuses_every_other_shape) {
  const std::vector<Part> all = good_parts();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t entry = DamagedImage::entry(i);
    const Section& section = all[i].section;
    for (const std::size_t field : {16U, 20U}) {
      const std::uint64_t value = DamagedImage(good_image()).get(entry + field);
      EXPECT_EQ(open_with(entry + field, value + 1, 4), Status::image_bad_shape) << i;
      EXPECT_EQ(open_with(entry + field, value - 1, 4), Status::image_bad_shape) << i;
      EXPECT_EQ(open_with(entry + field, value ^ 0x80000000, 4), Status::image_bad_shape) << i;
    }
    for (const std::uint64_t block : {1U, 4U, 8U, 32U, 64U, 255U}) {
      EXPECT_EQ(open_with(entry + 25, block, 1), Status::image_bad_shape) << i;
    }
    EXPECT_EQ(open_with(entry + 25, section.block ^ 16U, 1), Status::image_bad_shape) << i;
    for (const std::uint64_t format : {0U, 1U, 2U, 3U, 4U, 255U}) {
      const bool is_weight = format >= 1 && format <= 3;
      if (is_weight == is_matrix(section)) continue;
      EXPECT_EQ(open_with(entry + 24, format, 1), Status::image_bad_shape) << i;
    }
    const bool has_exponent = is_matrix(section) || is_gain(section);
    EXPECT_EQ(open_with(entry + 26, 0x81, 1), has_exponent ? Status::ok : Status::image_bad_shape)
        << i;
  }
}

TEST(ImageValidate, refuses_every_other_size_of_a_section) {
  const std::vector<Part> all = good_parts();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const SectionKind kind = all[i].section.kind;
    if (kind == SectionKind::metadata || kind == SectionKind::tokenizer) continue;
    const std::size_t size = all[i].bytes.size();
    for (const std::size_t other : {size - 1, size + 1, size + 32, size / 2, std::size_t{1}}) {
      std::vector<Part> parts = all;
      parts[i].bytes.resize(other);
      const Status expected =
          kind == SectionKind::config ? Status::image_bad_config : Status::image_bad_shape;
      EXPECT_EQ(open_parts(parts), expected) << i << ": " << other << " of " << size;
    }
  }
}

TEST(ImageValidate, an_int4_matrix_must_have_the_size_of_one) {
  const std::vector<Part> all = good_parts();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Section& section = all[i].section;
    if (!is_matrix(section)) continue;
    std::vector<Part> parts = all;
    parts[i].section.format = WeightFormat::int4;
    parts[i].bytes.assign(
        matrix_layout(section.rows, section.columns, section.block, WeightFormat::int4).bytes, 0);
    EXPECT_EQ(open_parts(parts), Status::ok) << i;
    parts[i].bytes.push_back(0);
    EXPECT_EQ(open_parts(parts), Status::image_bad_shape) << i;
  }
}

// int8 and int8_pairs have the same bytes a row.
TEST(ImageValidate, an_int8_matrix_may_have_paired_lanes) {
  const std::vector<Part> all = good_parts();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Section& section = all[i].section;
    if (!is_matrix(section)) continue;
    std::vector<Part> parts = all;
    parts[i].section.format = WeightFormat::int8_pairs;
    parts[i].bytes.assign(
        matrix_layout(section.rows, section.columns, section.block, WeightFormat::int8).bytes, 0);
    EXPECT_EQ(open_parts(parts), Status::ok) << i;
    parts[i].bytes.push_back(0);
    EXPECT_EQ(open_parts(parts), Status::image_bad_shape) << i;
    parts[i].bytes.pop_back();
    parts[i].section.format = static_cast<WeightFormat>(4);
    EXPECT_EQ(open_parts(parts), Status::image_bad_shape) << i;
  }
}

/// A field of the config with values on both sides of each bound of SPEC.md.
struct Field {
  const char* name;
  std::size_t offset;
  std::size_t bytes;
  std::vector<std::uint64_t> valid;
  std::vector<std::uint64_t> refused;
};

const Field kFields[] = {
    {"dim", 0, 4, {2, 6, 4096}, {0, 1, 3, 4095, 4097, 4098, 0xffffffff}},
    {"hidden_dim", 4, 4, {1, 7, 65536}, {0, 65537, 0xffffffff}},
    {"n_layers", 8, 4, {1, 3, 256}, {0, 257, 0x10002}},
    {"n_heads", 12, 4, {1, 3, 4096}, {0, 4097, 0x80000001}},
    {"n_kv_heads", 16, 4, {1, 2}, {0, 3, 4, 0xfffffffe}},
    {"head_size", 20, 4, {2, 4, 256}, {0, 1, 3, 255, 257, 258}},
    {"vocab_size", 24, 4, {1, 1 << 20}, {0, (1 << 20) + 1, 0xffffffff}},
    {"context_length", 28, 4, {1, 65536}, {0, 65537, 0xffffffff}},
    {"block", 32, 4, {16, 32, 64}, {0, 1, 8, 15, 17, 24, 48, 63, 65, 128, 0x110}},
    {"residual_fraction_bits", 36, 4, {8, 20}, {0, 7, 21, 0x110, 0xfffffff0}},
    {"norm_epsilon", 40, 8, {0, 1ULL << 40}, {(1ULL << 40) + 1, 1ULL << 63}},
};

TEST(ImageValidate, holds_every_field_of_the_config_to_its_range) {
  const std::size_t config = DamagedImage(good_image()).section(SectionKind::config);
  for (const Field& field : kFields) {
    for (const std::uint64_t value : field.valid) {
      // What follows from the field may now be wrong, but not the config.
      EXPECT_NE(open_with(config + field.offset, value, field.bytes), Status::image_bad_config)
          << field.name << " " << value;
    }
    for (const std::uint64_t value : field.refused) {
      EXPECT_EQ(open_with(config + field.offset, value, field.bytes), Status::image_bad_config)
          << field.name << " " << value;
    }
  }
  for (std::size_t i = 48; i < 64; ++i) {
    EXPECT_EQ(open_with(config + i, 1, 1), Status::image_bad_config) << "reserved byte " << i;
  }
}

TEST(ImageValidate, holds_the_width_of_all_heads_to_its_range) {
  const std::size_t config = DamagedImage(good_image()).section(SectionKind::config);
  const auto status = [=](std::uint64_t n_heads, std::uint64_t head_size) {
    return open_changed([=](DamagedImage& image) {
      image.put(config + 12, n_heads);
      image.put(config + 20, head_size);
    });
  };
  EXPECT_EQ(status(4096, 16), Status::image_bad_shape);
  EXPECT_EQ(status(4096, 18), Status::image_bad_config);
  EXPECT_EQ(status(256, 256), Status::image_bad_shape);
  EXPECT_EQ(status(257, 256), Status::image_bad_config);
}

TEST(ImageValidate, survives_any_table) {
  test::Random random(3);
  const std::size_t table_end = DamagedImage::entry(DamagedImage(good_image()).section_count());
  const std::size_t config = DamagedImage(good_image()).section(SectionKind::config);
  for (int i = 0; i < 3000; ++i) {
    DamagedImage image(good_image());
    for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
      const bool in_config = random.below(4) == 0;
      const std::size_t place =
          in_config ? config + 4 * random.below(16) : 8 + 4 * random.below((table_end - 8) / 4);
      image.put(place, random.awkward(32));
    }
    image.seal_header();
    const Status status = open(image.bytes(), Verify::structure);
    EXPECT_LE(static_cast<int>(status), static_cast<int>(Status::image_bad_shape));
  }
}

}  // namespace
}  // namespace mote
