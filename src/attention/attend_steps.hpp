// SPDX-License-Identifier: Apache-2.0
// The steps of attend_segments that a chip without vectors does in another order than the others:
// attend_portable.cpp or attend_scalar.cpp, one of which a build has (src/sources.cmake).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "attention/attend.hpp"

namespace mote {

/// A position's weight times its value scale has at most this many bits, relative to the largest.
inline constexpr int kContributionBits = 20;

/// The largest score so far, and the value scale of a position that has it.
struct Largest {
  std::int32_t score = std::numeric_limits<std::int32_t>::min();
  Scale16 value_scale;
};

/// Writes the base-2 scores of a segment in Q16, as score_of says them, and adds to `largest`.
///   scores (segment.count), query (head_size)
void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                   const std::int8_t* query, Multiplier factor, std::size_t head_size);

/// Adds the values of a segment, times their contributions, to `out`, which is zeroed before where
/// the segment `is_first`. The weights are used up.
///   out (head_size), weights (segment.count) Q24
void add_segment(std::int64_t* out, std::uint32_t* weights, const KvSegment& segment, int width,
                 std::size_t head_size, bool is_first);

/// dot * scale * factor, rounded half up and saturated; for any scale. // |dot| < 2^22
std::int32_t score_of(std::int32_t dot, Scale16 scale, Multiplier factor);

/// weight * scale in units of 2^(width - 20), rounded half up; at most 2^20. A width is at most 66
/// (24 and 12 bits, shifted by 30), so that no shift is longer than 46.
std::int32_t contribution(std::uint32_t weight, Scale16 scale, int width);

}  // namespace mote
