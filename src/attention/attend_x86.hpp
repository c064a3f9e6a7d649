// SPDX-License-Identifier: Apache-2.0
// attend_segments for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include <cstdint>
#include <span>

#include "attention/attend.hpp"

namespace mote::avx2 {
void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale);
void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale);
}  // namespace mote::avx2

namespace mote::avx512 {

/// Needs AVX512F, BW, DQ, VL, CD, VNNI and VBMI.
void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale);
void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale);

}  // namespace mote::avx512
