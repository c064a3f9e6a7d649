// SPDX-License-Identifier: Apache-2.0
// One query over stored positions: the arithmetic that all softmax attention kinds share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/platform.hpp"
#include "mote/attention.hpp"

namespace mote {

/// Consecutive positions of one K/V head.
struct KvSegment {
  const std::int8_t* keys = nullptr;      // (count, head_size)
  const std::int8_t* values = nullptr;    // (count, head_size)
  const Scale16* key_scales = nullptr;    // (count), 2^-28
  const Scale16* value_scales = nullptr;  // (count), 2^-28
  std::uint32_t count = 0;
};

/// `count` consecutive rows, from `first` on.
KvSegment segment_of(const KvRows& rows, std::size_t first, std::uint32_t count);

/// 1 / value to 19 bits, times 2^exponent. // value at least 1
Multiplier reciprocal(std::uint64_t value, int exponent);

/// log2(e) / sqrt(head_size): turns a dot product of query and key into a base-2 score.
Multiplier attention_scale(std::uint32_t head_size);

/// One query over positions of one K/V head, where several heads are attended to together.
struct HeadAttention {
  WideVector out;         // (head_size) wide result and its unit
  KvSegment stored;       // at least one position
  QuantizedVector query;  // (head_size)
};

namespace ref {

/// softmax(q k^T * score_scale) v over the positions of all segments, at least one. Every position
/// adds an exact integer that depends on nothing but itself and two maxima over all positions, so
/// neither the order nor the division into segments can change a bit.
///   out     (head_size) wide result and its unit
///   scratch (positions) scores, then weights
///   queries (1) for all segments, or (segments) one for each
void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale);

/// attend_segments of each of two heads.
///   scratch (positions of the head that has more); twice as many serve heads of one K/V head
void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale);

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
/// Whether two heads may take less time together than one after the other, and whether only those
/// that read one K/V head do.
inline constexpr bool kPairsHeads = true;
inline constexpr bool kPairsShareKeys = false;
void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale);
void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale);
#else
using ref::attend_segments;
using ref::attend_two;
inline constexpr bool kPairsHeads = !kFavorsSize;
inline constexpr bool kPairsShareKeys = true;
#endif

/// The same with one query for all segments.
inline void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                            std::span<const KvSegment> segments, QuantizedVector query,
                            Multiplier score_scale) {
  attend_segments(out, scratch, segments, std::span<const QuantizedVector>(&query, 1), score_scale);
}

}  // namespace mote
