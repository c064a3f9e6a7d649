// SPDX-License-Identifier: Apache-2.0
#include "convert/pack.hpp"

#include <algorithm>
#include <utility>

#include "base/crc32.hpp"
#include "convert/image_writer.hpp"
#include "support/little_endian.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kHeaderCrcOffset = 20;
constexpr std::size_t kContentHashOffset = 32;
constexpr std::size_t kContentHashBytes = 32;

using Bytes = std::vector<std::uint8_t>;

bool is_eight_bit(WeightFormat format) {
  return format == WeightFormat::int8 || format == WeightFormat::int8_pairs;
}

WeightFormat format_of(Lanes lanes) {
  return lanes == Lanes::pairs ? WeightFormat::int8_pairs : WeightFormat::int8;
}

std::vector<Section> sections_of(const Image& image) {
  std::vector<Section> sections;
  for (std::uint32_t i = 0; i < image.section_count(); ++i) sections.push_back(image.section(i));
  return sections;
}

/// The section's bytes with the lanes of an 8-bit matrix as `format` has them, padding included.
Bytes repacked(const Image& image, const Section& section, WeightFormat format) {
  const auto stored = image.section_bytes(section.kind, section.layer);
  Bytes bytes(stored.begin(), stored.end());
  if (!is_eight_bit(section.format) || section.format == format) return bytes;
  const MatrixLayout layout =
      matrix_layout(section.rows, section.columns, section.block, section.format);
  // Rows are whole blocks, of an even number of lanes each.
  for (std::size_t i = layout.weights_offset; i < bytes.size(); i += 2) bytes[i] ^= 0x80;
  return bytes;
}

Bytes read_hash(const std::string& path) {
  const MappedFile file(path);
  const auto hash = file.bytes().subspan(kContentHashOffset, kContentHashBytes);
  return {hash.begin(), hash.end()};
}

}  // namespace

PackReport pack_image(const std::string& out_path, const Image& image, Lanes lanes,
                      const PackProgress& progress) {
  const std::vector<Section> present = sections_of(image);
  std::vector<Section> packed = present;
  PackReport report;
  for (Section& section : packed) {
    if (!is_eight_bit(section.format)) continue;
    ++report.matrices;
    report.changed += section.format != format_of(lanes) ? 1 : 0;
    section.format = format_of(lanes);
  }
  ImageWriter writer(out_path, std::move(packed));
  report.image_bytes = writer.image_bytes();
  for (const Section& section : present) {
    writer.write(repacked(image, section, format_of(lanes)), section.exponent);
    if (progress) progress(std::uint64_t{section.offset} + section.bytes, report.image_bytes);
  }
  writer.finish();
  report.hash = read_hash(out_path);
  return report;
}

bool has_paired_lanes(const Image& image) {
  return std::ranges::any_of(sections_of(image), [](const Section& section) {
    return section.format == WeightFormat::int8_pairs;
  });
}

Bytes plain_lanes(const Image& image) {
  std::vector<Section> sections = sections_of(image);
  const Section& last = sections.back();
  Bytes out(std::size_t{last.offset} + last.bytes);
  for (Section& section : sections) {
    const Bytes bytes = repacked(image, section, WeightFormat::int8);
    std::ranges::copy(bytes, out.begin() + section.offset);
    section.crc = crc32(bytes);
    if (is_eight_bit(section.format)) section.format = WeightFormat::int8;
  }
  const Bytes header = encode_header(sections, out.size());
  std::ranges::copy(header, out.begin());
  std::ranges::copy(image.content_hash(), out.begin() + kContentHashOffset);
  store_u32(out.data() + kHeaderCrcOffset, crc32(std::span(out).first(header.size())));
  return out;
}

}  // namespace mote::host
