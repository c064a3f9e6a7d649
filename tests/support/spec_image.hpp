// SPDX-License-Identifier: Apache-2.0
// A little reader of images written from SPEC.md alone; it shares no line with the library.
#pragma once

#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace mote::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_file(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

/// Little-endian, `count` bytes.
inline std::uint64_t number_at(const Bytes& bytes, std::size_t offset, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | bytes.at(offset + i);
  return value;
}

/// Bit by bit, from the polynomial.
inline std::uint32_t slow_crc32(const Bytes& bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

inline std::uint64_t scale16_value(std::uint64_t bits) {
  const std::uint64_t e = bits >> 11;
  const std::uint64_t f = bits & 2047;
  return e == 0 ? f : (2048 + f) << (e - 1);
}

struct SpecSection {
  std::uint64_t kind = 0, layer = 0, offset = 0, size = 0, crc = 0, rows = 0, columns = 0;
  std::uint64_t format = 0, block = 0;
  int exponent = 0;
  Bytes bytes;

  std::uint64_t blocks() const { return (columns + block - 1) / block; }
  static std::uint64_t align(std::uint64_t offset) { return (offset + 31) / 32 * 32; }
  std::uint64_t factors_offset() const { return align(2 * rows); }
  std::uint64_t weights_offset() const {
    return format == 2 ? align(factors_offset() + rows * blocks()) : factors_offset();
  }
  std::uint64_t row_bytes() const { return format == 2 ? blocks() * block / 2 : blocks() * block; }
  double row_scale(std::uint64_t row) const {
    return std::ldexp(static_cast<double>(scale16_value(number_at(bytes, 2 * row, 2))), exponent);
  }
  int factor(std::uint64_t row, std::uint64_t column) const {
    return format == 2 ? bytes.at(factors_offset() + row * blocks() + column / block) : 1;
  }
  /// The integer in a lane; `column` may lie in the padding.
  int value(std::uint64_t row, std::uint64_t column) const {
    const std::uint64_t start = weights_offset() + row * row_bytes();
    if (format == 1) return static_cast<std::int8_t>(bytes.at(start + column));
    if (format == 3 && column % 2 == 0) return bytes.at(start + column) - 128;
    if (format == 3) return static_cast<std::int8_t>(bytes.at(start + column));
    const std::uint64_t lane = column % block;
    const std::uint64_t place = start + column / block * (block / 2) + lane % (block / 2);
    const int byte = bytes.at(place);
    return (lane < block / 2 ? byte & 15 : byte >> 4) - 8;
  }
  double weight(std::uint64_t row, std::uint64_t column) const {
    return value(row, column) * factor(row, column) * row_scale(row);
  }
  double gain(std::uint64_t i) const {
    return std::ldexp(static_cast<std::int16_t>(number_at(bytes, 2 * i, 2)), exponent);
  }
};

inline SpecSection parse_entry(const Bytes& image, std::size_t at) {
  SpecSection section;
  section.kind = number_at(image, at, 2);
  section.layer = number_at(image, at + 2, 2);
  section.offset = number_at(image, at + 4, 4);
  section.size = number_at(image, at + 8, 4);
  section.crc = number_at(image, at + 12, 4);
  section.rows = number_at(image, at + 16, 4);
  section.columns = number_at(image, at + 20, 4);
  section.format = image.at(at + 24);
  section.block = image.at(at + 25);
  section.exponent = static_cast<std::int8_t>(image.at(at + 26));
  for (std::size_t i = 27; i < 32; ++i) {
    if (image.at(at + i) != 0) throw std::runtime_error("reserved bytes of an entry");
  }
  const auto begin = image.begin() + static_cast<std::ptrdiff_t>(section.offset);
  section.bytes.assign(begin, begin + static_cast<std::ptrdiff_t>(section.size));
  return section;
}

struct SpecImage {
  std::vector<SpecSection> sections;

  const SpecSection& find(std::uint64_t kind, std::uint64_t layer = 0) const {
    for (const SpecSection& section : sections) {
      if (section.kind == kind && section.layer == layer) return section;
    }
    throw std::runtime_error("no section of kind " + std::to_string(kind));
  }
};

inline void demand(bool condition, const char* rule) {
  if (!condition) throw std::runtime_error(rule);
}

/// Checks order, gaps and padding of the sections and that nothing follows the last.
inline void check_placement(const SpecImage& parsed, const Bytes& image) {
  std::uint64_t end = 64 + 32 * parsed.sections.size();
  std::uint64_t last_key = 0;
  for (const SpecSection& section : parsed.sections) {
    const std::uint64_t key = section.layer << 16 | section.kind;
    demand(key > last_key, "sections are sorted");
    last_key = key;
    demand(section.offset == SpecSection::align(end), "sections follow one another");
    for (; end < section.offset; ++end) demand(image.at(end) == 0, "padding is zero");
    end += section.size;
    demand(slow_crc32(section.bytes) == section.crc, "checksum of a section");
  }
  demand(end == image.size(), "nothing follows the last section");
}

/// Throws where the bytes break a rule of SPEC.md's container. The content hash is not checked.
inline SpecImage parse_image(const Bytes& image) {
  const Bytes magic = {0x4d, 0x4f, 0x54, 0x45, 0x0d, 0x0a, 0x1a, 0x0a};
  demand(Bytes(image.begin(), image.begin() + 8) == magic, "magic");
  demand(number_at(image, 8, 2) == 1 && number_at(image, 10, 2) == 0, "version");
  demand(number_at(image, 12, 4) == image.size(), "file_bytes");
  demand(number_at(image, 24, 8) == 0, "reserved bytes of the header");
  SpecImage parsed;
  const std::size_t count = number_at(image, 16, 4);
  for (std::size_t i = 0; i < count; ++i) {
    parsed.sections.push_back(parse_entry(image, 64 + 32 * i));
  }
  Bytes header(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(64 + 32 * count));
  for (std::size_t i = 20; i < 24; ++i) header.at(i) = 0;
  demand(slow_crc32(header) == number_at(image, 20, 4), "checksum of the header");
  check_placement(parsed, image);
  return parsed;
}

}  // namespace mote::test
