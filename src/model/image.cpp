// SPDX-License-Identifier: Apache-2.0
#include "mote/image.hpp"

#include <bit>
#include <cstddef>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/crc32.hpp"
#include "model/image_shard.hpp"
#include "model/image_validate.hpp"

namespace mote {
namespace {

/// The first four bytes of an entry, which the table is sorted by.
constexpr std::uint32_t section_key(SectionKind kind, std::uint32_t layer) {
  return layer << 16 | static_cast<std::uint32_t>(kind);
}

std::span<const std::uint8_t> section_entry(std::span<const std::uint8_t> image,
                                            std::uint32_t index) {
  return image.subspan(kImageHeaderBytes + std::size_t{index} * kSectionEntryBytes);
}

/// In 64 bits, so that no size of a damaged image wraps on a 32-bit chip.
constexpr std::uint64_t align_section(std::uint64_t bytes) {
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

/// Blocks are powers of two: each token asks for all matrices, and division takes long.
template <typename Count>
constexpr Count pad_to_blocks(Count columns, Count block) {
  return (columns + block - 1) & ~(block - 1);
}

}  // namespace

MatrixLayout matrix_layout(std::uint64_t rows, std::uint64_t columns, std::uint32_t block,
                           WeightFormat format) {
  std::uint64_t bytes = rows * pad_to_blocks<std::uint64_t>(columns, block);
  MatrixLayout layout;
  layout.factors_offset = align_section(rows * sizeof(Scale16));
  layout.weights_offset = layout.factors_offset;
  if (format == WeightFormat::int4) {
    layout.weights_offset += align_section(bytes >> std::countr_zero(block));
    bytes /= 2;
  }
  layout.bytes = layout.weights_offset + bytes;
  return layout;
}

Image::Image() = default;

Status Image::open(std::span<const std::uint8_t> bytes, Verify verify) {
  Image image;
  image.bytes_ = bytes;
  Status status = check_structure(image.section_count_, bytes);
  if (status != Status::ok) return status;
  status = decode_config(image.config_, image.section_bytes(SectionKind::config));
  if (status != Status::ok) return status;
  status = decode_shard(image.shard_, image);
  if (status != Status::ok) return status;
  status = check_sections(image);
  if (status == Status::ok && verify == Verify::full) status = check_contents(image);
  if (status == Status::ok) *this = image;
  return status;
}

Status Image::verify() const {
  for (std::uint32_t i = 0; i < section_count_; ++i) {
    const Section section = this->section(i);
    if (crc32(bytes_.subspan(section.offset, section.bytes)) != section.crc) {
      return Status::image_bad_section_crc;
    }
  }
  return Status::ok;
}

std::span<const std::uint8_t, 32> Image::content_hash() const {
  return bytes_.subspan<32, 32>();
}

Section Image::section(std::uint32_t index) const {
  MOTE_ASSERT(index < section_count_);
  Section section;
  decode_section(section, section_entry(bytes_, index));
  return section;
}

bool Image::find(Section& section, SectionKind kind, std::uint32_t layer) const {
  const std::uint32_t key = section_key(kind, layer);
  std::uint32_t first = 0;
  std::uint32_t last = section_count_;
  while (first < last) {
    const std::uint32_t middle = first + (last - first) / 2;
    const auto entry = section_entry(bytes_, middle);
    if (load_aligned<std::uint32_t>(entry, 0) < key) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (first == section_count_) return false;
  const auto entry = section_entry(bytes_, first);
  if (load_aligned<std::uint32_t>(entry, 0) != key) return false;
  decode_section(section, entry);
  return true;
}

std::span<const std::uint8_t> Image::section_bytes(SectionKind kind, std::uint32_t layer) const {
  Section section;
  if (!find(section, kind, layer)) return {};
  return bytes_.subspan(section.offset, section.bytes);
}

MatrixView Image::matrix(SectionKind kind, std::uint32_t layer) const {
  Section section;
  bool is_found = find(section, kind, layer);
  if (!is_found && kind == SectionKind::classifier) {
    is_found = find(section, SectionKind::token_embedding, 0);
  }
  MOTE_ASSERT(is_found);
  const MatrixLayout layout =
      matrix_layout(section.rows, section.columns, section.block, section.format);
  const std::uint8_t* base = bytes_.data() + section.offset;
  MatrixView view;
  view.weights = base + layout.weights_offset;
  view.row_scales = reinterpret_cast<const Scale16*>(base);
  if (section.format == WeightFormat::int4) view.block_factors = base + layout.factors_offset;
  view.rows = section.rows;
  view.columns = pad_to_blocks<std::uint32_t>(section.columns, section.block);
  view.block = section.block;
  view.format = section.format;
  view.exponent = section.exponent;
  return view;
}

GainsView Image::gains(SectionKind kind, std::uint32_t layer) const {
  Section section;
  const bool found = find(section, kind, layer);
  MOTE_ASSERT(found);
  return {reinterpret_cast<const std::int16_t*>(bytes_.data() + section.offset), section.exponent};
}

const std::int32_t* Image::biases(SectionKind kind, std::uint32_t layer) const {
  return reinterpret_cast<const std::int32_t*>(section_bytes(bias_kind(kind), layer).data());
}

LayerAttentionConfig Image::layer_attention(std::uint32_t layer) const {
  return decode_attention(section_bytes(SectionKind::attention, layer));
}

const std::uint32_t* Image::rope_frequencies() const {
  return reinterpret_cast<const std::uint32_t*>(
      section_bytes(SectionKind::rope_frequencies).data());
}

std::string_view Image::metadata() const {
  const auto text = section_bytes(SectionKind::metadata);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

}  // namespace mote
