// SPDX-License-Identifier: Apache-2.0
// The door of the image: everything that SPEC.md demands is checked here, once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "mote/image.hpp"

namespace mote {

inline bool is_zero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

/// One row of the section table at `bytes`, 32 long and aligned to 4.
void decode_section(Section& section, std::span<const std::uint8_t> bytes);

/// Header and table: magic, version, size, checksum, order, ranges and gaps of sections.
Status check_structure(std::uint32_t& section_count, std::span<const std::uint8_t> bytes);

/// Decodes the config section and checks its ranges. // section (64)
Status decode_config(ModelConfig& config, std::span<const std::uint8_t> section);

/// The attention section of a layer, checked before; causal where it is empty.
LayerAttentionConfig decode_attention(std::span<const std::uint8_t> section);

/// Every section that `image.config()` demands is there, with the shape and size that follow from
/// it and from what `image.held()` says, and no other.
Status check_sections(const Image& image);

/// The checksum of each section, the zeros between them, then the content hash.
Status check_contents(const Image& image);

}  // namespace mote
