// SPDX-License-Identifier: Apache-2.0
// An image taken apart into its sections, for tests that change one and write all again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "convert/image_writer.hpp"
#include "support/image_factory.hpp"
#include "support/temporary_file.hpp"

namespace mote::test {

/// A section as the writer takes it.
struct ImagePart {
  Section section;
  Bytes bytes;
};

inline std::vector<ImagePart> parts_of(const Bytes& bytes) {
  const OpenImage image(bytes);
  std::vector<ImagePart> parts;
  for (std::uint32_t i = 0; i < image->section_count(); ++i) {
    const Section section = image->section(i);
    const auto contents = image->section_bytes(section.kind, section.layer);
    parts.push_back({section, {contents.begin(), contents.end()}});
  }
  return parts;
}

/// The place of the section of this kind and layer.
inline std::size_t index_of(const std::vector<ImagePart>& parts, SectionKind kind,
                            std::uint32_t layer) {
  const auto at = std::ranges::find_if(parts, [&](const ImagePart& part) {
    return part.section.kind == kind && part.section.layer == layer;
  });
  if (at == parts.end()) throw std::runtime_error("no such section");
  return static_cast<std::size_t>(at - parts.begin());
}

/// The image of these sections in the order that SPEC.md demands, with sizes and checksums right.
inline Bytes write_parts(std::vector<ImagePart> parts) {
  std::ranges::stable_sort(parts, {}, [](const ImagePart& part) {
    return std::uint32_t{part.section.layer} << 16 | static_cast<std::uint32_t>(part.section.kind);
  });
  const host::TemporaryFile file("mote-test");
  std::vector<Section> sections;
  for (const ImagePart& part : parts) {
    sections.push_back(part.section);
    sections.back().bytes = static_cast<std::uint32_t>(part.bytes.size());
  }
  host::ImageWriter writer(file.path(), sections);
  for (const ImagePart& part : parts) writer.write(part.bytes, part.section.exponent);
  writer.finish();
  return read_file(file.path());
}

}  // namespace mote::test
