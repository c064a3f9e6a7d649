// SPDX-License-Identifier: Apache-2.0
// Softmax attention with AVX2: eight positions at a time, in 32 bits each. The reference is
// attend.cpp, whose steps these are: scores, weights, contributions, values. Numbers that do not
// fit 32 bits, which scales far apart bring, and heads of odd sizes are left to it.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

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

/// Weighs all positions of a head. Returns the width of the largest product; 0 where it is not
/// certain.
template <bool kPadded>
INLINE int weigh(const Head& head, const Largest& largest, Totals& totals) {
  const __m256i top = set(largest_of(largest.score));
  const int above = largest_above(largest.value_bits);
  for_each_segment<kPadded>(
      head, [&](const KvSegment& segment, std::size_t, std::uint32_t* numbers) INLINE_LAMBDA {
        weigh_segment<kPadded>(numbers, totals, segment, top, set(above));
      });
  const int widest = largest_of(totals.widest);
  if (widest == 0) return 0;
  const int width = above + 31 + kProductDrop - __builtin_clz(static_cast<unsigned>(widest));
  return width > kWidestOfDropped ? width : 0;
}

/// Adds the values of all positions. Returns shifts, below 0 where some number does not fit.
template <bool kPadded>
[[gnu::noinline]] __m256i add_all(const Head& head, int width) {
  std::int64_t* const out = head.out->values.data();
  const std::size_t head_size = head.out->values.size();
  std::memset(out, 0, head_size * sizeof *out);
  __m256i shifts = _mm256_setzero_si256();
  const __m256i base = set(width - kContributionBits - kProductDrop);
  for_each_segment<kPadded>(
      head, [&](const KvSegment& segment, std::size_t, std::uint32_t* numbers) INLINE_LAMBDA {
        shifts = _mm256_or_si256(shifts, make_digits<kPadded>(numbers, segment, base));
        add_values<kPadded>(out, numbers, segment, head_size);
      });
  return shifts;
}

/// Heads step by step together, since each step of one waits for the end of the one before. False
/// where some number does not fit; `out` is then not finished.
template <bool kPadded, std::size_t N>
bool attend(const Head (&heads)[N], Multiplier score_scale) {
  Largest largest[N];
  __m256i shifts = _mm256_setzero_si256();
  for (std::size_t i = 0; i < N; ++i) {
    largest[i] = score_any<kPadded>(heads[i], score_scale);
    shifts = _mm256_or_si256(shifts, largest[i].shifts);
  }
  if (is_below_zero(shifts)) return false;
  Totals totals[N];
  int width[N];
  for (std::size_t i = 0; i < N; ++i) {
    width[i] = weigh<kPadded>(heads[i], largest[i], totals[i]);
    if (width[i] == 0) return false;
  }
  for (std::size_t i = 0; i < N; ++i) {
    shifts = _mm256_or_si256(shifts, add_all<kPadded>(heads[i], width[i]));
  }
  if (is_below_zero(shifts)) return false;
  for (std::size_t i = 0; i < N; ++i) {
    alignas(32) std::uint64_t sums[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums), totals[i].sum);
    heads[i].out->unit = reciprocal(sums[0] + sums[1] + sums[2] + sums[3],
                                    width[i] - kContributionBits - kScaleFractionBits);
  }
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
  Head heads[] = {{&out, segments, queries, scratch.data()}};
  if (has_form(out.values.size())) {
    // There are at least as many words as positions.
    if (scratch.size() + segments.size() * kStep > kOwnPositions) {
      if (attend<false>(heads, score_scale)) return;
    } else {
      alignas(32) std::uint32_t own[kOwnPositions];
      heads[0].numbers = own;
      if (attend<true>(heads, score_scale)) return;
    }
  }
  ref::attend_segments(out, scratch, segments, queries, score_scale);
}

void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale) {
  constexpr std::uint32_t kHalf = kOwnPositions / 2;
  if (has_form(heads[0].out.values.size()) && heads[0].stored.count <= kHalf &&
      heads[1].stored.count <= kHalf) {
    alignas(32) std::uint32_t own[kOwnPositions];
    const Head both[] = {{&heads[0].out, {&heads[0].stored, 1}, {&heads[0].query, 1}, own},
                         {&heads[1].out, {&heads[1].stored, 1}, {&heads[1].query, 1}, own + kHalf}};
    if (attend<true>(both, score_scale)) return;
  }
  for (HeadAttention& head : heads) {
    avx2::attend_segments(head.out, scratch, std::span<const KvSegment>(&head.stored, 1),
                          std::span<const QuantizedVector>(&head.query, 1), score_scale);
  }
}

}  // namespace mote::avx2
