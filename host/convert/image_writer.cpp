// SPDX-License-Identifier: Apache-2.0
#include "convert/image_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <utility>

#include "base/crc32.hpp"
#include "base/sha256.hpp"
#include "support/error.hpp"
#include "support/little_endian.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kHeaderCrcOffset = 20;
constexpr std::size_t kContentHashOffset = 32;
constexpr std::size_t kChunkBytes = 1 << 20;

std::uint64_t align_section(std::uint64_t offset) {
  return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

std::uint64_t table_end(std::size_t section_count) {
  return kImageHeaderBytes + std::uint64_t{kSectionEntryBytes} * section_count;
}

void encode_entry(std::uint8_t* out, const Section& section) {
  store_u16(out, static_cast<std::uint16_t>(section.kind));
  store_u16(out + 2, section.layer);
  store_u32(out + 4, section.offset);
  store_u32(out + 8, section.bytes);
  store_u32(out + 12, section.crc);
  store_u32(out + 16, section.rows);
  store_u32(out + 20, section.columns);
  out[24] = static_cast<std::uint8_t>(section.format);
  out[25] = section.block;
  out[26] = static_cast<std::uint8_t>(section.exponent);
}

/// SHA-256 of `header`, whose checksum and hash are still zero, and of the file from there on.
std::array<std::uint8_t, 32> hash_image(const OutputFile& file,
                                        std::span<const std::uint8_t> header,
                                        std::uint64_t image_bytes) {
  Sha256 hash;
  hash.update(header);
  std::vector<std::uint8_t> chunk(kChunkBytes);
  for (std::uint64_t offset = header.size(); offset < image_bytes;) {
    const std::uint64_t count = std::min<std::uint64_t>(chunk.size(), image_bytes - offset);
    const auto part = std::span(chunk).first(static_cast<std::size_t>(count));
    file.read_at(part, offset);
    hash.update(part);
    offset += count;
  }
  return hash.finish();
}

}  // namespace

std::uint64_t layout_sections(std::vector<Section>& sections, const std::string& where) {
  std::uint64_t end = table_end(sections.size());
  for (Section& section : sections) {
    const std::uint64_t offset = align_section(end);
    end = offset + section.bytes;
    if (end > std::numeric_limits<std::uint32_t>::max()) {
      throw Error(
          fmt::format("{}: the image would exceed 4 GiB, the most that it can have", where));
    }
    section.offset = static_cast<std::uint32_t>(offset);
  }
  return end;
}

std::vector<std::uint8_t> encode_header(const std::vector<Section>& sections,
                                        std::uint64_t image_bytes) {
  std::vector<std::uint8_t> out(table_end(sections.size()));
  std::copy(kImageMagic.begin(), kImageMagic.end(), out.begin());
  store_u16(out.data() + 8, kImageVersion);
  store_u32(out.data() + 12, static_cast<std::uint32_t>(image_bytes));
  store_u32(out.data() + 16, static_cast<std::uint32_t>(sections.size()));
  for (std::size_t i = 0; i < sections.size(); ++i) {
    encode_entry(out.data() + table_end(i), sections[i]);
  }
  return out;
}

ImageWriter::ImageWriter(const std::string& path, std::vector<Section> sections)
    : file_(path), sections_(std::move(sections)) {
  image_bytes_ = layout_sections(sections_, path);
  // A last section of no bytes may begin behind the last byte that is written.
  file_.resize(image_bytes_);
}

void ImageWriter::write(std::span<const std::uint8_t> bytes, int exponent) {
  Section& section = sections_.at(written_count_++);
  if (bytes.size() != section.bytes || exponent < -128 || exponent > 127) {
    throw std::logic_error("a section of the image differs from its declaration");
  }
  section.crc = crc32(bytes);
  section.exponent = static_cast<std::int8_t>(exponent);
  file_.write_at(section.offset, bytes);
}

void ImageWriter::finish() {
  if (written_count_ != sections_.size()) throw std::logic_error("the image lacks sections");
  std::vector<std::uint8_t> header = encode_header(sections_, image_bytes_);
  const std::array<std::uint8_t, 32> hash = hash_image(file_, header, image_bytes_);
  std::copy(hash.begin(), hash.end(), header.begin() + kContentHashOffset);
  store_u32(header.data() + kHeaderCrcOffset, crc32(header));
  file_.write_at(0, header);
  file_.commit();
}

}  // namespace mote::host
