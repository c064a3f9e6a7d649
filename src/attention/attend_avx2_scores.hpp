// SPDX-License-Identifier: Apache-2.0
// The first steps of attend_avx2.cpp, which alone includes it: scores and weights, eight positions
// at a time.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "attention/attend_x86_head.hpp"
#include "kernels/exp2_avx2.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline
#define INLINE_LAMBDA __attribute__((always_inline))

namespace mote::avx2 {
namespace {

constexpr std::uint32_t kStep = 8;  // positions whose numbers fill a vector
constexpr std::size_t kPiece = 16;  // lanes of a head whose products fill one
constexpr std::size_t kMaxPieces = 16;
using x86::kContributionBits;
using x86::kOwnPositions;
using x86::kProductDrop;
using x86::kWidestOfDropped;

INLINE __m256i set(int value) {
  return _mm256_set1_epi32(value);
}

INLINE __m128i load_bytes(const void* bytes) {
  return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
}

INLINE int largest_of(__m256i numbers) {
  __m128i most =
      _mm_max_epi32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1)));
}

/// Calls visit(first position, positions), so that it is compiled for whole steps by themselves.
template <typename Visit>
INLINE void for_each_step(std::uint32_t count, const Visit& visit) {
  std::uint32_t t = 0;
  for (; t + kStep <= count; t += kStep) visit(t, kStep);
  if (t < count) visit(t, count - t);
}

/// Steps whose sums 32 bits hold, of weights and of values.
constexpr std::uint32_t kStepsPerFold = 128;

/// Calls visit(first position, positions) for so many steps at a time.
template <typename Visit>
INLINE void for_each_fold(std::uint32_t count, const Visit& visit) {
  constexpr std::uint32_t kFold = kStepsPerFold * kStep;
  for (std::uint32_t first = 0; first < count; first += kFold) {
    visit(first, count - first < kFold ? count - first : kFold);
  }
}

/// All bits of the first `count` numbers.
INLINE __m256i first_numbers(std::uint32_t count) {
  const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(set(static_cast<int>(count)), places);
}

/// Where numbers of positions are kept between the steps: a memory of this function, in which every
/// segment begins anew, at a multiple of 8, or, for more positions, the caller's, side by side.
template <bool kPadded>
struct Numbers {
  static std::uint32_t width(std::uint32_t count) {
    return kPadded ? (count + kStep - 1) / kStep * kStep : count;
  }
  INLINE static void store(std::uint32_t* at, std::uint32_t count, __m256i numbers) {
    if (kPadded) return _mm256_store_si256(reinterpret_cast<__m256i*>(at), numbers);
    if (count == kStep) return _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), numbers);
    _mm256_maskstore_epi32(reinterpret_cast<int*>(at), first_numbers(count), numbers);
  }
  /// Those that are not there are 0, or what was stored.
  INLINE static __m256i load(const std::uint32_t* at, std::uint32_t count) {
    if (kPadded) return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
    if (count == kStep) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return _mm256_maskload_epi32(reinterpret_cast<const int*>(at), first_numbers(count));
  }
};

/// The bits of eight scales; 0 past the last.
INLINE __m128i load_bits(const Scale16* scales, std::uint32_t count) {
  if (count == kStep) return load_bytes(scales);
  alignas(16) Scale16 part[kStep] = {};
  std::memcpy(part, scales, count * sizeof(Scale16));
  return load_bytes(part);
}

/// Scales: mantissa * 2^(above - 1).
struct Scales {
  __m256i mantissa;
  __m256i above;
};

INLINE __m256i exponents_above(__m256i bits) {
  return _mm256_max_epi32(_mm256_srli_epi32(bits, 11), set(1));
}

INLINE Scales decode(__m256i bits) {
  const __m256i above = exponents_above(bits);
  // Where there is an implied bit, it is the lowest of the exponent above 0.
  const __m256i others = _mm256_slli_epi32(_mm256_sub_epi32(above, set(1)), 11);
  return {_mm256_sub_epi32(bits, others), above};
}

/// Lanes of a query in 16 bits, in pieces of 16: the last one ends with the head, and its lanes
/// that are those of another piece are 0. A head of 8 lanes stands twice.
struct Query {
  alignas(32) std::int16_t lanes[kMaxPieces * kPiece];
  std::size_t head_size;
};

/// Where a piece begins.
INLINE std::size_t piece_at(std::size_t piece, std::size_t head_size) {
  const std::size_t last = head_size - kPiece;
  return piece * kPiece < last ? piece * kPiece : last;
}

INLINE void load_query(Query& query, const std::int8_t* values, std::size_t head_size) {
  query.head_size = head_size;
  auto* const lanes = reinterpret_cast<__m256i*>(query.lanes);
  if (head_size < kPiece) {
    std::int64_t eight;
    std::memcpy(&eight, values, sizeof eight);
    return _mm256_store_si256(lanes, _mm256_cvtepi8_epi16(_mm_set1_epi64x(eight)));
  }
  for (std::size_t p = 0; p * kPiece < head_size; ++p) {
    const std::size_t at = piece_at(p, head_size);
    const __m256i piece = _mm256_cvtepi8_epi16(load_bytes(values + at));
    _mm256_store_si256(lanes + p, piece);
    std::memset(query.lanes + p * kPiece, 0, (p * kPiece - at) * sizeof(std::int16_t));
  }
}

/// Sums of each pair of products of sixteen lanes, of `piece` of the query and those at `keys`.
INLINE __m256i multiply(const Query& query, std::size_t piece, const std::int8_t* keys) {
  const auto* const lanes = reinterpret_cast<const __m256i*>(query.lanes);
  return _mm256_madd_epi16(_mm256_cvtepi8_epi16(load_bytes(keys)),
                           _mm256_load_si256(lanes + piece));
}

/// Sums of neighbours, of four vectors: in each 128 bits those of a, b, c and d.
INLINE __m256i add_fours(__m256i a, __m256i b, __m256i c, __m256i d) {
  return _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
}

/// The rows of a step of heads of 8 lanes, copied where there are not all of them.
INLINE const std::int8_t* whole_step(std::int8_t (&part)[8 * kStep], const std::int8_t* rows,
                                     std::uint32_t count) {
  if (count == kStep) return rows;
  std::memset(part, 0, sizeof part);
  std::memcpy(part, rows, 8 * count);
  return part;
}

/// Dot products with the keys of a step, of heads of 8 lanes.
INLINE __m256i dot_short_keys(const Query& query, const std::int8_t* keys, std::uint32_t count) {
  alignas(32) std::int8_t part[8 * kStep];
  keys = whole_step(part, keys, count);
  const __m256i even_odd = add_fours(multiply(query, 0, keys), multiply(query, 0, keys + 16),
                                     multiply(query, 0, keys + 32), multiply(query, 0, keys + 48));
  return _mm256_permutevar8x32_epi32(even_odd, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/// The same of heads of 16 lanes and more. // Pieces: 0: any number
template <std::size_t Pieces>
INLINE __m256i dot_keys(const Query& query, const std::int8_t* keys, std::uint32_t count) {
  const std::size_t pieces = Pieces != 0 ? Pieces : (query.head_size + kPiece - 1) / kPiece;
  const auto row = [&](std::uint32_t r) INLINE_LAMBDA {
    const std::int8_t* const key = keys + (r < count ? r : 0) * query.head_size;
    __m256i sums = multiply(query, 0, key);
    for (std::size_t p = 1; p < pieces; ++p) {
      sums = _mm256_add_epi32(sums, multiply(query, p, key + piece_at(p, query.head_size)));
    }
    return sums;
  };
  const __m256i first = add_fours(row(0), row(1), row(2), row(3));
  const __m256i second = add_fours(row(4), row(5), row(6), row(7));
  return _mm256_add_epi32(_mm256_permute2x128_si256(first, second, 0x20),
                          _mm256_permute2x128_si256(first, second, 0x31));
}

/// Even numbers of `even` in the upper halves of their 64 bits, odd ones of `odd`.
INLINE __m256i join_high(__m256i even, __m256i odd) {
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

/// Products of weights and mantissas, less the lowest bits.
INLINE __m256i dropped_products(__m256i a, __m256i b) {
  const __m256i even = _mm256_mul_epu32(a, b);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
  return _mm256_blend_epi32(_mm256_srli_epi64(even, kProductDrop),
                            _mm256_slli_epi64(odd, 32 - kProductDrop), 0xaa);
}

/// The upper halves of the products of signed numbers with unsigned ones.
INLINE __m256i high_signed_products(__m256i a, __m256i b) {
  const __m256i high = join_high(
      _mm256_mul_epi32(a, b), _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32)));
  return _mm256_add_epi32(high, _mm256_and_si256(a, _mm256_srai_epi32(b, 31)));
}

/// value / 2^(shift + 1), rounded half up; 0 for shifts of 32 and more.
INLINE __m256i halve_round(__m256i shifted) {
  return _mm256_srai_epi32(_mm256_add_epi32(shifted, set(1)), 1);
}

/// What all positions together decide about the weights.
struct Largest {
  __m256i score = _mm256_set1_epi32(INT32_MIN);
  __m128i value_bits = _mm_setzero_si128();  // of the value scales
  __m256i shifts = _mm256_setzero_si256();   // below 0: some number does not fit
};

/// Base-2 scores of a segment in Q16, those of positions that are not there INT32_MIN: so far below
/// all others, which have 31 bits, that their weight is 0.
///   dot(keys, count) makes dot products
///   raise of the dot product, by which its product with the mantissas needs no lower half
template <bool kPadded, typename Dot>
INLINE void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                          std::size_t head_size, Multiplier factor, const Dot& dot) {
  const int raise = __builtin_clz(static_cast<unsigned>(head_size) << 14) - 1;
  const __m128i raised = _mm_cvtsi32_si128(raise);
  const __m256i base = set(raise + 1 - 33 - factor.exponent);
  const __m256i mantissa = set(static_cast<int>(factor.mantissa));
  for_each_step(segment.count, [&](std::uint32_t t, std::uint32_t count) INLINE_LAMBDA {
    if (head_size > 16) x86::fetch_step<kStep>(segment, t, head_size);
    const Scales scale = decode(_mm256_cvtepu16_epi32(load_bits(segment.key_scales + t, count)));
    const __m256i dots = dot(segment.keys + t * head_size, count);
    const __m256i high = high_signed_products(_mm256_sll_epi32(dots, raised),
                                              _mm256_mullo_epi32(scale.mantissa, mantissa));
    const __m256i shift = _mm256_sub_epi32(base, scale.above);
    __m256i result = halve_round(_mm256_srav_epi32(high, shift));
    if (count < kStep) result = _mm256_blendv_epi8(set(INT32_MIN), result, first_numbers(count));
    Numbers<kPadded>::store(scores + t, count, result);
    largest.score = _mm256_max_epi32(largest.score, result);
    largest.shifts = _mm256_or_si256(largest.shifts, shift);
    largest.value_bits =
        _mm_max_epu16(largest.value_bits, load_bits(segment.value_scales + t, count));
  });
}

/// What all positions together decide about the contributions.
struct Totals {
  __m256i sum = _mm256_setzero_si256();     // of the weights, 64 bits each
  __m256i widest = _mm256_setzero_si256();  // weight * value scale, in units of the largest scale's
};

/// Replaces the scores of a segment by weight * mantissa of the value's scale, less the lowest
/// bits.
///   above of the largest value scale, in whose units the widest product keeps its highest bit:
///   where all become 0, the form for rare numbers decides
template <bool kPadded>
INLINE void weigh_segment(std::uint32_t* scores, Totals& totals, const KvSegment& segment,
                          __m256i top, __m256i above) {
  for_each_fold(segment.count, [&](std::uint32_t first, std::uint32_t positions) INLINE_LAMBDA {
    __m256i sum = _mm256_setzero_si256();
    for_each_step(positions, [&](std::uint32_t step, std::uint32_t count) INLINE_LAMBDA {
      const std::uint32_t t = first + step;
      const __m256i below = _mm256_sub_epi32(top, Numbers<kPadded>::load(scores + t, count));
      // Q24, as softmax_weight rounds it.
      __m256i weights =
          _mm256_srli_epi32(_mm256_add_epi32(twice_exp2_negative(below), set(1 + (1 << 6))), 7);
      if (!kPadded && count < kStep) weights = _mm256_and_si256(weights, first_numbers(count));
      sum = _mm256_add_epi32(sum, weights);
      const Scales scale =
          decode(_mm256_cvtepu16_epi32(load_bits(segment.value_scales + t, count)));
      const __m256i product = dropped_products(weights, scale.mantissa);
      Numbers<kPadded>::store(scores + t, count, product);
      const __m256i unit = _mm256_sub_epi32(above, scale.above);
      totals.widest = _mm256_max_epi32(totals.widest, _mm256_srlv_epi32(product, unit));
    });
    const __m256i even = _mm256_and_si256(sum, _mm256_set1_epi64x(0xffffffff));
    totals.sum = _mm256_add_epi64(totals.sum, _mm256_add_epi64(even, _mm256_srli_epi64(sum, 32)));
  });
}

}  // namespace
}  // namespace mote::avx2
