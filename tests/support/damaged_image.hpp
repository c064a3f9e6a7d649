// SPDX-License-Identifier: Apache-2.0
// An image that tests change, with the checksums made right again so that deeper checks are
// reached.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>

#include "base/sha256.hpp"
#include "mote/image.hpp"
#include "support/spec_image.hpp"

namespace mote::test {

class DamagedImage {
 public:
  explicit DamagedImage(Bytes bytes) : bytes_(std::move(bytes)) {}

  Bytes& bytes() { return bytes_; }

  /// Little-endian, `count` bytes at `offset`.
  void put(std::size_t offset, std::uint64_t value, std::size_t count = 4) {
    for (std::size_t i = 0; i < count; ++i) {
      bytes_.at(offset + i) = static_cast<std::uint8_t>(value >> (8 * i));
    }
  }
  std::uint64_t get(std::size_t offset, std::size_t count = 4) const {
    return number_at(bytes_, offset, count);
  }

  std::size_t section_count() const { return get(16); }
  /// The row of the section table, as an offset.
  static std::size_t entry(std::size_t index) { return 64 + 32 * index; }
  std::size_t entry(SectionKind kind, std::uint32_t layer) const {
    for (std::size_t i = 0; i < section_count(); ++i) {
      const bool is_same = get(entry(i), 2) == static_cast<std::uint64_t>(kind);
      if (is_same && get(entry(i) + 2, 2) == layer) return entry(i);
    }
    throw std::runtime_error("no such section");
  }
  std::size_t section(SectionKind kind, std::uint32_t layer = 0) const {
    return get(entry(kind, layer) + 4);
  }

  /// Makes header_crc right; only where the table lies inside the file.
  void seal_header() {
    put(20, 0);
    const std::size_t end = std::min<std::size_t>(entry(section_count()), bytes_.size());
    put(20, slow_crc32({bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  /// Makes the checksum of each section that lies inside the file, the content hash and header_crc
  /// right.
  void seal() {
    for (std::size_t i = 0; entry(i + 1) <= bytes_.size() && i < section_count(); ++i) {
      const std::size_t offset = get(entry(i) + 4);
      const std::size_t size = get(entry(i) + 8);
      if (offset + size > bytes_.size()) continue;
      const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(offset);
      put(entry(i) + 12, slow_crc32({begin, begin + static_cast<std::ptrdiff_t>(size)}));
    }
    put(20, 0);
    std::fill_n(bytes_.begin() + 32, 32, std::uint8_t{0});
    Sha256 hash;
    hash.update(bytes_);
    std::ranges::copy(hash.finish(), bytes_.begin() + 32);
    seal_header();
  }

 private:
  Bytes bytes_;
};

}  // namespace mote::test
