// SPDX-License-Identifier: Apache-2.0
// Writes an image section by section (SPEC.md, "The image").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "support/output_file.hpp"

namespace mote::host {

/// Gives each section its offset, in order, and returns the bytes of the whole image. The sizes
/// must be set and the sections strictly rising by (layer, kind). Throws `Error` where the image
/// would not fit its 32-bit size; `where` begins the message.
std::uint64_t layout_sections(std::vector<Section>& sections, const std::string& where);

/// Header and section table as they stand at the beginning of an image. The checksum covers them
/// once `content_hash` is in place.
std::vector<std::uint8_t> encode_header(const std::vector<Section>& sections,
                                        std::uint64_t image_bytes);

/// The file has its name only after `finish`; an image that is left before leaves nothing behind.
class ImageWriter {
 public:
  /// All members of `sections` are set but offset, crc and exponent.
  ImageWriter(const std::string& path, std::vector<Section> sections);

  std::uint64_t image_bytes() const { return image_bytes_; }
  const std::vector<Section>& sections() const { return sections_; }

  /// The next section's bytes, exactly as many as it was declared with.
  void write(std::span<const std::uint8_t> bytes, int exponent = 0);
  /// Call after the last section: writes the header, the checksums and the content hash.
  void finish();

 private:
  OutputFile file_;
  std::vector<Section> sections_;
  std::uint64_t image_bytes_ = 0;
  std::size_t written_count_ = 0;
};

}  // namespace mote::host
