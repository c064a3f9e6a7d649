// SPDX-License-Identifier: Apache-2.0
// Softmax attention with AVX2: eight positions at a time, in 32 bits each. The reference is
// attend.cpp, whose steps these are: scores, weights, contributions, values. Numbers that do not
// fit 32 bits, which scales far apart bring, and heads of odd sizes are left to it.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "attention/attend_avx2_scores.hpp"
#include "attention/attend_avx2_values.hpp"
#include "attention/attend_x86.hpp"
#include "attention/attend_x86_head.hpp"

namespace mote::avx2 {
namespace {

using x86::Head;

/// Visits the segments of a head: visit(segment, index, numbers).
template <bool kPadded, typename Visit>
INLINE void for_each_segment(const Head& head, const Visit& visit) {
  const KvSegment* const segments = head.segments.data();
  std::uint32_t* numbers = head.numbers;
  for (std::size_t s = 0; s < head.segments.size(); ++s) {
    visit(segments[s], s, numbers);
    numbers += Numbers<kPadded>::width(segments[s].count);
  }
}

/// Pieces of a head of 16 lanes or more, 0 for any number of them; or one of 8 lanes.
constexpr std::size_t kShort = kMaxPieces + 1;

template <std::size_t Pieces, bool kPadded>
[[gnu::noinline]] Largest score(const Head& head, Multiplier score_scale) {
  Largest largest;
  Query query;
  const std::size_t size = Pieces == 0        ? head.out->values.size()
                           : Pieces == kShort ? std::size_t{8}
                                              : Pieces * kPiece;
  const std::size_t next_query = head.queries.size() == 1 ? 0 : 1;
  for_each_segment<kPadded>(
      head, [&](const KvSegment& segment, std::size_t s, std::uint32_t* numbers) INLINE_LAMBDA {
        const QuantizedVector& own = head.queries.data()[s * next_query];
        load_query(query, own.values, size);
        score_segment<kPadded>(numbers, largest, segment, size,
                               x86::score_factor(own.scale, score_scale),
                               [&](const std::int8_t* keys, std::uint32_t count) INLINE_LAMBDA {
                                 if (Pieces == kShort) return dot_short_keys(query, keys, count);
                                 return dot_keys<Pieces>(query, keys, count);
                               });
      });
  return largest;
}

template <bool kPadded>
Largest score_any(const Head& head, Multiplier score_scale) {
  switch (head.out->values.size()) {
    case 8:
      return score<kShort, kPadded>(head, score_scale);
    case kPiece:
      return score<1, kPadded>(head, score_scale);
    case 3 * kPiece:
      return score<3, kPadded>(head, score_scale);
    case 4 * kPiece:
      return score<4, kPadded>(head, score_scale);
    default:
      return score<0, kPadded>(head, score_scale);
  }
}

INLINE bool is_below_zero(__m256i numbers) {
  return _mm256_testz_si256(numbers, set(INT32_MIN)) == 0;
}

/// The exponent above of the largest of scales.
INLINE int largest_above(__m128i bits) {
  return largest_of(exponents_above(_mm256_cvtepu16_epi32(bits)));
}

/// False where some number does not fit; `out` is then not finished.
template <bool kPadded>
bool attend(const Head& head, Multiplier score_scale) {
  const Largest largest = score_any<kPadded>(head, score_scale);
  if (is_below_zero(largest.shifts)) return false;
  const __m256i top = set(largest_of(largest.score));
  const int above = largest_above(largest.value_bits);
  Totals totals;
  for_each_segment<kPadded>(
      head, [&](const KvSegment& segment, std::size_t, std::uint32_t* numbers) INLINE_LAMBDA {
        weigh_segment<kPadded>(numbers, totals, segment, top, set(above));
      });
  const int widest = largest_of(totals.widest);
  if (widest == 0) return false;
  const int width = above + 31 + kProductDrop - __builtin_clz(static_cast<unsigned>(widest));
  if (width <= kWidestOfDropped) return false;
  __m256i shifts = _mm256_setzero_si256();
  const __m256i base = set(width - kContributionBits - kProductDrop);
  const std::size_t head_size = head.out->values.size();
  for_each_segment<kPadded>(
      head, [&](const KvSegment& segment, std::size_t s, std::uint32_t* numbers) INLINE_LAMBDA {
        shifts = _mm256_or_si256(shifts, make_digits<kPadded>(numbers, segment, base));
        add_values<kPadded>(head.out->values.data(), numbers, segment, head_size, s == 0);
      });
  if (is_below_zero(shifts)) return false;
  alignas(32) std::uint64_t sums[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums), totals.sum);
  head.out->unit = reciprocal(sums[0] + sums[1] + sums[2] + sums[3],
                              width - kContributionBits - kScaleFractionBits);
  return true;
}

/// Whether a head's lanes make pieces.
bool has_form(std::size_t head_size) {
  return head_size >= kPiece || head_size == 8;
}

}  // namespace

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  Head head = {&out, segments, queries, scratch.data()};
  if (has_form(out.values.size())) {
    // There are at least as many words as positions.
    if (scratch.size() + segments.size() * kStep > kOwnPositions) {
      if (attend<false>(head, score_scale)) return;
    } else {
      alignas(32) std::uint32_t own[kOwnPositions];
      head.numbers = own;
      if (attend<true>(head, score_scale)) return;
    }
  }
  ref::attend_segments(out, scratch, segments, queries, score_scale);
}

void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale) {
  for (HeadAttention& head : heads) {
    avx2::attend_segments(head.out, scratch, std::span<const KvSegment>(&head.stored, 1),
                          std::span<const QuantizedVector>(&head.query, 1), score_scale);
  }
}

}  // namespace mote::avx2
