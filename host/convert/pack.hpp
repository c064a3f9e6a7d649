// SPDX-License-Identifier: Apache-2.0
// Images whose int8 weights stand as another processor takes them (SPEC.md, "Matrices").
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mote/image.hpp"

namespace mote::host {

/// How the 8-bit lanes of an image stand: as int8, or as int8_pairs.
enum class Lanes : std::uint8_t { plain, pairs };

struct PackReport {
  std::uint64_t image_bytes = 0;
  std::uint32_t matrices = 0;      // of 8-bit lanes
  std::uint32_t changed = 0;       // of those, what the image had the other way
  std::vector<std::uint8_t> hash;  // (32) content hash of the image that was written
};

/// Bytes written so far and altogether.
using PackProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Writes `image`, a whole one or a shard, with all 8-bit lanes as `lanes` says and everything else
/// as it is. A shard stays one of the same model. Throws `Error` that names the path where it
/// cannot be written; `out_path` may be the file that `image` is mapped from.
PackReport pack_image(const std::string& out_path, const Image& image, Lanes lanes,
                      const PackProgress& progress = {});

/// Whether a matrix of `image` has paired lanes.
bool has_paired_lanes(const Image& image);

/// The bytes of `image` with plain lanes, ready to be opened. The content hash stays that of
/// `image`, so that chips know each other by it, and is not that of these bytes.
std::vector<std::uint8_t> plain_lanes(const Image& image);

}  // namespace mote::host
