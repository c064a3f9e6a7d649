// SPDX-License-Identifier: Apache-2.0
// What an open image shows. What it refuses is in image_validate_test.cpp.
#include "mote/image.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "mote/transformer.hpp"
#include "support/image_factory.hpp"

namespace mote {
namespace {

using test::AlignedBytes;
using test::Bytes;
using test::ModelSpec;
using test::SpecImage;
using test::SpecSection;

constexpr SectionKind kModelMatrices[] = {SectionKind::token_embedding, SectionKind::classifier};
constexpr SectionKind kLayerMatrices[] = {
    SectionKind::wq,     SectionKind::wk,   SectionKind::wv,    SectionKind::wo,
    SectionKind::w_gate, SectionKind::w_up, SectionKind::w_down};

/// Rows and heads that fill no block; a head of 24 has blocks of 8.
ModelSpec ragged_model(WeightFormat weights) {
  ModelSpec model;
  model.shape = {.dim = 50,
                 .hidden_dim = 70,
                 .n_layers = 2,
                 .n_heads = 4,
                 .n_kv_heads = 2,
                 .head_size = 24,
                 .vocab_size = 270,
                 .context_length = 20,
                 .has_classifier = true};
  model.weights = weights;
  return model;
}

struct Opened {
  explicit Opened(const ModelSpec& model)
      : bytes(make_image(model)), spec(test::parse_image(bytes)), memory(bytes) {
    EXPECT_EQ(image.open(memory.span()), Status::ok);
  }
  bool holds(const void* data, std::size_t count) const {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    const auto all = memory.span();
    return begin >= all.data() && begin + count <= all.data() + all.size();
  }

  Bytes bytes;
  SpecImage spec;
  AlignedBytes memory;
  Image image;
};

int lane_value(const MatrixView& matrix, std::uint32_t row, std::uint32_t column) {
  const std::uint8_t* weights = matrix.weights + std::size_t{row} * matrix.row_bytes();
  if (matrix.format == WeightFormat::int8) return static_cast<std::int8_t>(weights[column]);
  if (matrix.format == WeightFormat::int8_pairs) {
    return column % 2 == 0 ? weights[column] - 128 : static_cast<std::int8_t>(weights[column]);
  }
  const std::uint32_t half = matrix.block / 2;
  const std::uint32_t lane = column % matrix.block;
  const int pair = weights[column / matrix.block * half + lane % half];
  return (lane < half ? pair & 15 : pair >> 4) - 8;
}

/// Every lane, factor and scale of a view against the reader that was written from SPEC.md.
void expect_matrix(const Opened& opened, SectionKind kind, std::uint32_t layer) {
  const MatrixView view = opened.image.matrix(kind, layer);
  const SpecSection& section = opened.spec.find(static_cast<std::uint64_t>(kind), layer);
  ASSERT_EQ(view.rows, section.rows);
  ASSERT_EQ(view.columns, section.blocks() * section.block);
  ASSERT_EQ(view.block, section.block);
  ASSERT_EQ(static_cast<std::uint64_t>(view.format), section.format);
  EXPECT_TRUE(opened.holds(view.row_scales, view.rows * sizeof(Scale16)));
  EXPECT_TRUE(opened.holds(view.weights, std::size_t{view.rows} * view.row_bytes()));
  EXPECT_EQ(view.block_factors != nullptr, view.format == WeightFormat::int4);
  for (std::uint32_t row = 0; row < view.rows; ++row) {
    const double scale =
        std::ldexp(static_cast<double>(view.row_scales[row].value()), view.exponent);
    ASSERT_EQ(scale, section.row_scale(row));
    for (std::uint32_t column = 0; column < view.columns; ++column) {
      ASSERT_EQ(lane_value(view, row, column), section.value(row, column));
      if (view.block_factors == nullptr) continue;
      ASSERT_EQ(view.block_factors[row * view.blocks() + column / view.block],
                section.factor(row, column));
    }
  }
}

void expect_gains(const Opened& opened, SectionKind kind, std::uint32_t layer) {
  const GainsView view = opened.image.gains(kind, layer);
  const SpecSection& section = opened.spec.find(static_cast<std::uint64_t>(kind), layer);
  EXPECT_TRUE(opened.holds(view.values, section.columns * sizeof(std::int16_t)));
  for (std::uint32_t i = 0; i < section.columns; ++i) {
    ASSERT_EQ(std::ldexp(view.values[i], view.exponent), section.gain(i));
  }
}

TEST(Image, shows_what_the_specification_says) {
  for (const WeightFormat weights :
       {WeightFormat::int8, WeightFormat::int4, WeightFormat::int8_pairs}) {
    const Opened opened(ragged_model(weights));
    for (const SectionKind kind : kModelMatrices) expect_matrix(opened, kind, 0);
    expect_gains(opened, SectionKind::final_norm, 0);
    for (std::uint32_t layer = 1; layer <= 2; ++layer) {
      for (const SectionKind kind : kLayerMatrices) expect_matrix(opened, kind, layer);
    }
  }
}

TEST(Image, shows_the_configuration) {
  const Opened opened(ragged_model(WeightFormat::int8));
  const ModelConfig& config = opened.image.config();
  const Bytes& section = opened.spec.find(1).bytes;
  const std::uint64_t fields[] = {config.dim,        config.hidden_dim,
                                  config.n_layers,   config.n_heads,
                                  config.n_kv_heads, config.head_size,
                                  config.vocab_size, config.context_length,
                                  config.block,      config.residual_fraction_bits};
  for (std::size_t i = 0; i < std::size(fields); ++i) {
    EXPECT_EQ(fields[i], test::number_at(section, 4 * i, 4)) << "field " << i;
  }
  EXPECT_EQ(config.norm_epsilon, test::number_at(section, 40, 8));
  EXPECT_EQ(config.head_block(), 8U);
  EXPECT_EQ(config.dim_padded(), 64U);
  EXPECT_EQ(config.hidden_padded(), 96U);
}

TEST(Image, shows_frequencies_metadata_and_hash) {
  const Opened opened(ragged_model(WeightFormat::int8));
  const Bytes& frequencies = opened.spec.find(4).bytes;
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(opened.image.rope_frequencies()[i], test::number_at(frequencies, 4 * i, 4));
  }
  EXPECT_TRUE(opened.holds(opened.image.rope_frequencies(), 48));
  const Bytes& metadata = opened.spec.find(2).bytes;
  EXPECT_EQ(opened.image.metadata(),
            std::string_view(reinterpret_cast<const char*>(metadata.data()), metadata.size()));
  EXPECT_TRUE(opened.image.metadata().starts_with("name=synthetic\n"));
  EXPECT_EQ(opened.image.content_hash().data(), opened.memory.span().data() + 32);
}

TEST(Image, lists_its_sections) {
  const Opened opened(ragged_model(WeightFormat::int4));
  ASSERT_EQ(opened.image.section_count(), opened.spec.sections.size());
  for (std::uint32_t i = 0; i < opened.image.section_count(); ++i) {
    const Section section = opened.image.section(i);
    const SpecSection& expected = opened.spec.sections[i];
    EXPECT_EQ(static_cast<std::uint64_t>(section.kind), expected.kind);
    EXPECT_EQ(section.layer, expected.layer);
    EXPECT_EQ(section.offset, expected.offset);
    EXPECT_EQ(section.bytes, expected.size);
    Section found;
    EXPECT_TRUE(opened.image.find(found, section.kind, section.layer));
    EXPECT_EQ(found.offset, section.offset);
    const auto bytes = opened.image.section_bytes(section.kind, section.layer);
    EXPECT_EQ(bytes.data(), opened.memory.span().data() + section.offset);
    EXPECT_EQ(bytes.size(), section.bytes);
  }
}

TEST(Image, does_not_find_what_it_does_not_have) {
  ModelSpec model = ragged_model(WeightFormat::int8);
  model.shape.has_classifier = false;
  const Opened opened(model);
  Section section;
  EXPECT_FALSE(opened.image.find(section, SectionKind::classifier, 0));
  EXPECT_FALSE(opened.image.find(section, SectionKind::wq, 0));
  EXPECT_FALSE(opened.image.find(section, SectionKind::wq, 3));
  EXPECT_FALSE(opened.image.find(section, SectionKind::config, 1));
  EXPECT_FALSE(Image().find(section, SectionKind::config, 0));
  EXPECT_TRUE(opened.image.section_bytes(SectionKind::w_up, 9).empty());
  EXPECT_EQ(opened.image.matrix(SectionKind::classifier).weights,
            opened.image.matrix(SectionKind::token_embedding).weights);
}

TEST(ImageDeathTest, asking_for_a_layer_that_is_not_there_is_a_programmers_error) {
  const Opened opened(ragged_model(WeightFormat::int8));
  EXPECT_DEATH(opened.image.matrix(SectionKind::wq, 3), "");
  EXPECT_DEATH(opened.image.gains(SectionKind::final_norm, 1), "");
  EXPECT_DEATH(opened.image.section(opened.image.section_count()), "");
}

/// A mapping of which only the pages that hold `readable_bytes` can be touched.
class GuardedMapping {
 public:
  GuardedMapping(const Bytes& bytes, std::size_t readable_bytes) : size_(bytes.size()) {
    void* memory =
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    data_ = static_cast<std::uint8_t*>(memory);
    std::copy(bytes.begin(), bytes.end(), data_);
    const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t open_bytes = align_up(readable_bytes, page_bytes);
    EXPECT_EQ(::mprotect(data_ + open_bytes, size_ - open_bytes, PROT_NONE), 0);
  }
  ~GuardedMapping() { ::munmap(data_, size_); }
  std::span<const std::uint8_t> span() const { return {data_, size_}; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

TEST(Image, opening_by_structure_touches_no_weight) {
  const Bytes bytes = make_image(ragged_model(WeightFormat::int8));
  const SpecSection config = test::parse_image(bytes).find(1);
  const GuardedMapping mapping(bytes, config.offset + config.size);
  Image image;
  ASSERT_EQ(image.open(mapping.span(), Verify::structure), Status::ok);
  // Neither do the views, nor starting a model.
  EXPECT_NE(image.matrix(SectionKind::w_down, 2).weights, nullptr);
  EXPECT_NE(image.gains(SectionKind::final_norm).values, nullptr);
  const RunConfig run = {20, 4, 1};
  std::vector<std::byte> arena(Transformer::arena_bytes(image, run));
  Transformer model;
  EXPECT_EQ(model.init(image, run, arena), Status::ok);
}

TEST(Image, opening_by_structure_ignores_damage_in_contents) {
  Bytes bytes = make_image(ragged_model(WeightFormat::int8));
  for (const SpecSection& section : test::parse_image(bytes).sections) {
    if (section.kind == 1) continue;
    for (std::uint64_t i = 0; i < section.size; ++i) bytes[section.offset + i] ^= 0x5a;
  }
  const AlignedBytes memory(bytes);
  Image image;
  EXPECT_EQ(image.open(memory.span(), Verify::structure), Status::ok);
  EXPECT_EQ(image.open(memory.span(), Verify::full), Status::image_bad_section_crc);
}

}  // namespace
}  // namespace mote
