// SPDX-License-Identifier: Apache-2.0
// Softmax attention with AVX-512: sixteen positions at a time, in 32 bits each. The reference is
// attend.cpp, whose steps these are: scores, weights, contributions, values. Numbers that do not
// fit 32 bits, which scales far apart bring, are left to it.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "attention/attend_avx512_scores.hpp"
#include "attention/attend_avx512_values.hpp"
#include "attention/attend_x86.hpp"
#include "attention/attend_x86_head.hpp"

namespace mote::avx512 {
namespace {

using x86::Head;
using x86::score_factor;

// Functions of their own: all steps of all heads in one would take compilers minutes.

template <std::size_t H, bool kPadded>
[[gnu::noinline]] Largest score(const Head& head, Multiplier score_scale) {
  Largest largest;
  const KvSegment* const end = head.segments.data() + head.segments.size();
  const QuantizedVector* query = head.queries.data();
  const std::size_t next_query = head.queries.size() == 1 ? 0 : 1;
  std::uint32_t* numbers = head.numbers;
  for (const KvSegment* s = head.segments.data(); s != end; ++s, query += next_query) {
    score_segment<H, kPadded>(numbers, largest, *s,
                              load_query<H>(query->values, head.out->values.size()),
                              score_factor(query->scale, score_scale));
    numbers += Numbers<kPadded>::width(s->count);
  }
  return largest;
}

template <bool kPadded>
INLINE Totals weigh_all(const Head& head, __m512i top) {
  Totals totals;
  const KvSegment* const end = head.segments.data() + head.segments.size();
  std::uint32_t* numbers = head.numbers;
  for (const KvSegment* s = head.segments.data(); s != end; ++s) {
    totals = weigh_segment<kPadded>(numbers, totals, s->value_scales, s->count, top);
    numbers += Numbers<kPadded>::width(s->count);
  }
  return totals;
}

template <std::size_t H, bool kPadded>
[[gnu::noinline]] __mmask16 add_all(const Head& head, __m512i base) {
  __mmask16 rare = 0;
  const KvSegment* const end = head.segments.data() + head.segments.size();
  std::uint32_t* numbers = head.numbers;
  for (const KvSegment* s = head.segments.data(); s != end; ++s) {
    rare |= add_values<H, kPadded>(head.out->values.data(), numbers, *s, base,
                                   head.out->values.size(), s == head.segments.data());
    numbers += Numbers<kPadded>::width(s->count);
  }
  return rare;
}

/// Heads step by step together, since each step of one waits for the end of the one before. False
/// where some number does not fit; `out` is then not finished.
template <std::size_t H, bool kPadded, std::size_t N>
bool attend(const Head (&heads)[N], Multiplier score_scale) {
  Largest largest[N];
  __mmask16 rare = 0;
  for (std::size_t i = 0; i < N; ++i) {
    largest[i] = score<H, kPadded>(heads[i], score_scale);
    rare |= largest[i].rare;
  }
  if (rare != 0) return false;
  __m512i top[N];
  for (std::size_t i = 0; i < N; ++i) top[i] = set(_mm512_reduce_max_epi32(largest[i].score));
  Totals totals[N];
  for (std::size_t i = 0; i < N; ++i) totals[i] = weigh_all<kPadded>(heads[i], top[i]);
  int width[N];
  for (std::size_t i = 0; i < N; ++i) {
    width[i] = _mm512_reduce_max_epi32(totals[i].width);
    if (width[i] <= kWidestOfDropped) return false;
  }
  for (std::size_t i = 0; i < N; ++i) {
    rare |= add_all<H, kPadded>(heads[i], set(width[i] - kContributionBits - kProductDrop));
  }
  if (rare != 0) return false;
  for (std::size_t i = 0; i < N; ++i) {
    const auto sum = static_cast<std::uint64_t>(_mm512_reduce_add_epi64(totals[i].sum));
    heads[i].out->unit = reciprocal(sum, width[i] - kContributionBits - kScaleFractionBits);
  }
  return true;
}

template <std::size_t H>
bool attend_any_count(Head head, std::size_t positions, Multiplier score_scale) {
  // There are at least as many words as positions.
  if (positions + head.segments.size() * kWeightStep > kOwnPositions) {
    const Head heads[] = {head};
    return attend<H, false>(heads, score_scale);
  }
  alignas(64) std::uint32_t own[kOwnPositions];
  head.numbers = own;
  const Head heads[] = {head};
  return attend<H, true>(heads, score_scale);
}

bool attend_any(const Head& head, std::size_t positions, Multiplier score_scale) {
  switch (head.out->values.size()) {
    case 8:
      return attend_any_count<8>(head, positions, score_scale);
    case 16:
      return attend_any_count<16>(head, positions, score_scale);
    default:
      if (head.out->values.size() <= kOneVector) {
        return attend_any_count<kOneVector>(head, positions, score_scale);
      }
      return attend_any_count<kLong>(head, positions, score_scale);
  }
}

template <std::size_t H>
bool attend_two_of(Head first, Head second, Multiplier score_scale) {
  alignas(64) std::uint32_t own[kOwnPositions];
  first.numbers = own;
  second.numbers = own + kOwnPositions / 2;
  const Head heads[] = {first, second};
  return attend<H, true>(heads, score_scale);
}

}  // namespace

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  const Head head = {&out, segments, queries, scratch.data()};
  if (attend_any(head, scratch.size(), score_scale)) return;
  ref::attend_segments(out, scratch, segments, queries, score_scale);
}

void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale) {
  const Head first = {&heads[0].out, {&heads[0].stored, 1}, {&heads[0].query, 1}, nullptr};
  const Head second = {&heads[1].out, {&heads[1].stored, 1}, {&heads[1].query, 1}, nullptr};
  const std::size_t size = heads[0].out.values.size();
  // Longer heads have so much to do that they need not be done together.
  if (size <= 16 && heads[0].stored.count <= kOwnPositions / 2 &&
      heads[1].stored.count <= kOwnPositions / 2) {
    if (size == 8 && attend_two_of<8>(first, second, score_scale)) return;
    if (size == 16 && attend_two_of<16>(first, second, score_scale)) return;
  }
  for (HeadAttention& head : heads) {
    avx512::attend_segments(head.out, scratch, std::span<const KvSegment>(&head.stored, 1),
                            std::span<const QuantizedVector>(&head.query, 1), score_scale);
  }
}

}  // namespace mote::avx512
