// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al., "RoFormer", 2021), lanes (2i, 2i + 1) turned together.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace mote {

/// round(2^15 * sin(i / 256 * pi / 2)) for i = 0 to 256.
extern const std::array<std::uint16_t, 257> kQuarterWave;

struct SineCosine {
  std::int32_t sine = 0;    // Q15, -32768 to 32768
  std::int32_t cosine = 0;  // Q15
};

/// Sine and cosine of `phase` * 2 pi / 2^32, within 1.2 units of 2^-15.
SineCosine sine_cosine(std::uint32_t phase);

/// Turns each pair of `head`, rounded half up and saturated, by position * frequencies[i]; the
/// phase wraps by itself.
///   head (2n) any fixed-point format, |lane| < 2^30; frequencies (n) turns per position * 2^32
void rotate_pairs(std::span<std::int32_t> head, const std::uint32_t* frequencies,
                  std::uint32_t position);

}  // namespace mote
