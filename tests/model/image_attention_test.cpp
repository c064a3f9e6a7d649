// SPDX-License-Identifier: Apache-2.0
// Every rule of SPEC.md's "Attention" has an image here that breaks it and is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "convert/image_writer.hpp"
#include "model/image_validate.hpp"
#include "support/image_factory.hpp"
#include "support/temporary_file.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Bytes;

Section attention_of(std::uint16_t layer) {
  Section section;
  section.kind = SectionKind::attention;
  section.layer = layer;
  return section;
}

Bytes bytes_of(const std::vector<std::uint32_t>& words) {
  Bytes bytes;
  for (const std::uint32_t word : words) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  return bytes;
}

/// Opens the tiny model with one more section, which stands behind those of its layer.
Status open_with(Section extra, const Bytes& contents) {
  static const test::OpenImage kTiny(test::tiny_model());
  const Image& tiny = kTiny.image();
  std::vector<Section> sections;
  for (std::uint32_t i = 0; i < tiny.section_count(); ++i) sections.push_back(tiny.section(i));
  extra.bytes = static_cast<std::uint32_t>(contents.size());
  const auto is_behind = [&](const Section& section) { return section.layer > extra.layer; };
  const auto place = sections.insert(std::ranges::find_if(sections, is_behind), extra);
  const std::ptrdiff_t index = place - sections.begin();

  const host::TemporaryFile file("mote-test");
  host::ImageWriter writer(file.path(), sections);
  for (std::ptrdiff_t i = 0; i < std::ssize(sections); ++i) {
    const Section& section = sections[static_cast<std::size_t>(i)];
    const auto bytes = i == index ? std::span<const std::uint8_t>(contents)
                                  : tiny.section_bytes(section.kind, section.layer);
    writer.write(bytes, section.exponent);
  }
  writer.finish();
  const AlignedBytes memory(test::read_file(file.path()));
  Image image;
  return image.open(memory.span());
}

/// Opens it with the attention of a layer, counted from 1.
Status open_attention(const std::vector<std::uint32_t>& words, std::uint16_t layer = 1,
                      std::size_t bytes_more = 0) {
  Bytes bytes = bytes_of(words);
  bytes.resize(bytes.size() + bytes_more);
  return open_with(attention_of(layer), bytes);
}

TEST(ImageAttention, holds_sliding_windows_to_their_ranges) {
  for (const std::uint32_t window : {1U, 6U, 65472U}) {
    for (const std::uint32_t sinks : {0U, 64U}) {
      EXPECT_EQ(open_attention({1, window, sinks, 0}), Status::ok) << window << " " << sinks;
    }
  }
  EXPECT_EQ(open_attention({1, 65536, 0, 0}), Status::ok);
  EXPECT_EQ(open_attention({1, 6, 0, 0}, 2), Status::ok);
  const std::vector<std::uint32_t> refused[] = {
      {1, 0, 0, 0},     {1, 65537, 0, 0},      {1, 0xffffffff, 0, 0}, {1, 6, 65, 0},
      {1, 65536, 1, 0}, {1, 6, 0xffffffff, 0}, {1, 6, 0, 1},          {1, 6, 0, 0x80000000}};
  for (const auto& words : refused) {
    EXPECT_EQ(open_attention(words), Status::image_bad_attention)
        << words[1] << " " << words[2] << " " << words[3];
  }
}

/// The tiny model has one K/V head.
TEST(ImageAttention, holds_linear_attention_to_its_ranges) {
  for (const std::uint32_t decay : {1U, 65535U, 65536U}) {
    EXPECT_EQ(open_attention({2, 0, 0, 0, decay}), Status::ok) << decay;
  }
  const std::vector<std::uint32_t> refused[] = {{2, 0, 0, 0, 0},          {2, 0, 0, 0, 65537},
                                                {2, 0, 0, 0, 0xffffffff}, {2, 6, 0, 0, 9},
                                                {2, 0, 1, 0, 9},          {2, 0, 0, 1, 9}};
  for (const auto& words : refused) {
    EXPECT_EQ(open_attention(words), Status::image_bad_attention) << words[1] << " " << words[4];
  }
}

TEST(ImageAttention, refuses_every_other_kind_of_attention) {
  for (const std::uint32_t kind : {0U, 3U, 0x10001U, 0x02000000U, 0xffffffffU}) {
    EXPECT_EQ(open_attention({kind, 0, 0, 0}), Status::image_bad_attention) << kind;
    EXPECT_EQ(open_attention({kind, 6, 0, 0}), Status::image_bad_attention) << kind;
    EXPECT_EQ(open_attention({kind, 0, 0, 0, 9}), Status::image_bad_attention) << kind;
  }
}

TEST(ImageAttention, an_attention_section_ends_with_its_last_field) {
  const std::vector<std::uint32_t> refused[] = {
      {}, {1}, {1, 6, 0}, {1, 6, 0, 0, 0}, {2, 0, 0, 0}, {2, 0, 0, 0, 9, 9}};
  for (const auto& words : refused) {
    EXPECT_EQ(open_attention(words), Status::image_bad_attention) << words.size() << " words";
  }
  EXPECT_EQ(open_attention({1, 6, 0, 0}, 1, 1), Status::image_bad_attention);
  EXPECT_EQ(open_attention({2, 0, 0, 0}, 1, 3), Status::image_bad_attention);
  EXPECT_EQ(open_attention({2, 0, 0, 0, 9}, 1, 1), Status::image_bad_attention);
}

TEST(ImageAttention, attention_belongs_to_a_layer_of_the_model) {
  for (const std::uint16_t layer : std::initializer_list<std::uint16_t>{0, 3, 257, 65535}) {
    EXPECT_EQ(open_attention({1, 6, 0, 0}, layer), Status::image_bad_section_table) << layer;
    EXPECT_EQ(open_attention({2, 0, 0, 0, 9}, layer), Status::image_bad_section_table) << layer;
  }
}

TEST(ImageAttention, an_attention_section_has_no_shape) {
  const Bytes window = bytes_of({1, 6, 0, 0});
  EXPECT_EQ(open_with(attention_of(1), window), Status::ok);
  Section section = attention_of(1);
  section.rows = 1;
  EXPECT_EQ(open_with(section, window), Status::image_bad_shape);
  section = attention_of(1);
  section.columns = 4;
  EXPECT_EQ(open_with(section, window), Status::image_bad_shape);
  section = attention_of(1);
  section.block = 16;
  EXPECT_EQ(open_with(section, window), Status::image_bad_shape);
  section = attention_of(1);
  section.exponent = 1;
  EXPECT_EQ(open_with(section, window), Status::image_bad_shape);
  section = attention_of(1);
  section.format = WeightFormat::int8;
  EXPECT_EQ(open_with(section, window), Status::image_bad_shape);
}

}  // namespace
}  // namespace mote
