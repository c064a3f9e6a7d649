// SPDX-License-Identifier: Apache-2.0
// The last steps of attend_avx2.cpp, which alone includes it: values times contributions. These
// have 21 bits and are taken apart into digits of 7, because vpmaddubsw adds up two products of
// unsigned and signed bytes in 16 bits: 2 * 127 * 128 fits.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "attention/attend_avx2_scores.hpp"

namespace mote::avx2 {
namespace {

/// Replaces products by contributions, whose shifts are counted from `base`, as a byte for each
/// digit, the lowest first. Returns shifts, below 0 where some number does not fit.
template <bool kPadded>
INLINE __m256i make_digits(std::uint32_t* products, const KvSegment& segment, __m256i base) {
  __m256i shifts = _mm256_setzero_si256();
  for_each_step(segment.count, [&](std::uint32_t t, std::uint32_t count) INLINE_LAMBDA {
    const __m128i bits = load_bits(segment.value_scales + t, count);
    const __m256i shift = _mm256_sub_epi32(base, exponents_above(_mm256_cvtepu16_epi32(bits)));
    const __m256i product = Numbers<kPadded>::load(products + t, count);
    const __m256i number = halve_round(_mm256_srlv_epi32(product, shift));
    const __m256i low = _mm256_and_si256(number, set(0x7f));
    const __m256i middle = _mm256_and_si256(_mm256_slli_epi32(number, 1), set(0x7f00));
    const __m256i high = _mm256_and_si256(_mm256_slli_epi32(number, 2), set(0x7f0000));
    Numbers<kPadded>::store(products + t, count,
                            _mm256_or_si256(_mm256_or_si256(low, middle), high));
    shifts = _mm256_or_si256(shifts, shift);
  });
  return shifts;
}

/// The digits of two quads of positions, one in each half of a vector: of each quad the lowest ones
/// in all 32 bits, then the next ones. The second position of a quad comes third.
struct Digits {
  __m256i of_quads[3];
};

template <bool kPadded>
INLINE Digits load_digits(const std::uint32_t* numbers, std::uint32_t count) {
  const __m256i by_digit = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15));
  const __m256i digits = _mm256_shuffle_epi8(Numbers<kPadded>::load(numbers, count), by_digit);
  return {{_mm256_shuffle_epi32(digits, 0x00), _mm256_shuffle_epi32(digits, 0x55),
           _mm256_shuffle_epi32(digits, 0xaa)}};
}

/// Sums over positions of four lanes times their contributions, in each half of a vector.
struct Sums {
  __m256i low = _mm256_setzero_si256();   // of the lowest digits
  __m256i high = _mm256_setzero_si256();  // of the others, in units of 2^7
};

/// Adds two quads of positions. // values: of each lane those of the quad, ordered as digits
INLINE void add_quads(Sums& sums, const Digits& digits, __m256i values) {
  const auto multiply = [&](int digit, int unit) INLINE_LAMBDA {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(digits.of_quads[digit], values),
                             _mm256_set1_epi16(static_cast<short>(unit)));
  };
  sums.low = _mm256_add_epi32(sums.low, multiply(0, 1));
  sums.high = _mm256_add_epi32(_mm256_add_epi32(sums.high, multiply(1, 1)), multiply(2, 1 << 7));
}

/// The four lanes in 64 bits.
INLINE __m256i total_of(const Sums& sums) {
  const auto widen = [](__m256i halves) INLINE_LAMBDA {
    return _mm256_cvtepi32_epi64(
        _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
  };
  return _mm256_add_epi64(widen(sums.low), _mm256_slli_epi64(widen(sums.high), 7));
}

/// Adds sums to the lanes, from the one at `skip` on.
template <std::size_t Groups>
INLINE void add_sums(std::int64_t* out, const Sums (&sums)[Groups], std::size_t skip) {
  alignas(32) std::int64_t lanes[4 * Groups];
  for (std::size_t g = 0; g < Groups; ++g) {
    const __m256i total = total_of(sums[g]);
    auto* const to = reinterpret_cast<__m256i*>(out + 4 * g);
    if (skip == 0) _mm256_storeu_si256(to, _mm256_add_epi64(total, _mm256_loadu_si256(to)));
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes + 4 * g), total);
  }
  if (skip == 0) return;
  for (std::size_t i = skip; i < 4 * Groups; ++i) out[i] += lanes[i];
}

/// Calls add(sums, first position, positions) for each step, and adds the sums of several to the
/// lanes: a step adds four products of a lane and up to 2^13, and in the end two halves meet.
template <std::size_t Groups, typename Add>
INLINE void add_steps(std::int64_t* out, std::uint32_t positions, std::size_t skip,
                      const Add& add) {
  static_assert(kStepsPerFold * 4 * 128 <= (1U << 31) / 2 / (1U << 13));
  for_each_fold(positions, [&](std::uint32_t first, std::uint32_t count) INLINE_LAMBDA {
    Sums sums[Groups];
    for_each_step(count, [&](std::uint32_t t, std::uint32_t step)
                             INLINE_LAMBDA { add(sums, first + t, step); });
    add_sums(out, sums, skip);
  });
}

INLINE __m256i join(const std::int8_t* low, const std::int8_t* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load_bytes(low)), load_bytes(high), 1);
}

/// Of eight rows of 8 lanes.
INLINE void add_short_rows(Sums (&sums)[2], const Digits& digits, const std::int8_t* rows) {
  const __m256i first = join(rows, rows + 32);
  const __m256i second = join(rows + 16, rows + 48);
  const __m256i even = _mm256_unpacklo_epi8(first, second);
  const __m256i odd = _mm256_unpackhi_epi8(first, second);
  add_quads(sums[0], digits, _mm256_unpacklo_epi16(even, odd));
  add_quads(sums[1], digits, _mm256_unpackhi_epi16(even, odd));
}

/// Of sixteen lanes of up to eight rows. Rows past the last are any: their digits are 0.
INLINE void add_rows(Sums (&sums)[4], const Digits& digits, const std::int8_t* rows,
                     std::size_t head_size, std::uint32_t count) {
  const auto two = [&](std::uint32_t r) INLINE_LAMBDA {
    return join(rows + (r < count ? r : 0) * head_size,
                rows + (r + 4 < count ? r + 4 : 0) * head_size);
  };
  const __m256i a = two(0);
  const __m256i b = two(2);
  const __m256i c = two(1);
  const __m256i d = two(3);
  const __m256i low_ab = _mm256_unpacklo_epi8(a, b);
  const __m256i low_cd = _mm256_unpacklo_epi8(c, d);
  add_quads(sums[0], digits, _mm256_unpacklo_epi16(low_ab, low_cd));
  add_quads(sums[1], digits, _mm256_unpackhi_epi16(low_ab, low_cd));
  const __m256i high_ab = _mm256_unpackhi_epi8(a, b);
  const __m256i high_cd = _mm256_unpackhi_epi8(c, d);
  add_quads(sums[2], digits, _mm256_unpacklo_epi16(high_ab, high_cd));
  add_quads(sums[3], digits, _mm256_unpackhi_epi16(high_ab, high_cd));
}

/// out[i] += sum over positions of contribution * values[t][i].
template <bool kPadded>
INLINE void add_values(std::int64_t* out, const std::uint32_t* digits, const KvSegment& segment,
                       std::size_t head_size) {
  if (head_size < kPiece) {
    return add_steps<2>(out, segment.count, 0,
                        [&](Sums(&sums)[2], std::uint32_t t, std::uint32_t count) INLINE_LAMBDA {
                          alignas(32) std::int8_t part[8 * kStep];
                          const std::int8_t* const rows =
                              whole_step(part, segment.values + 8 * t, count);
                          add_short_rows(sums, load_digits<kPadded>(digits + t, count), rows);
                        });
  }
  for (std::size_t p = 0; p * kPiece < head_size; ++p) {
    const std::size_t at = piece_at(p, head_size);
    add_steps<4>(out + at, segment.count, p * kPiece - at,
                 [&](Sums(&sums)[4], std::uint32_t t, std::uint32_t count) INLINE_LAMBDA {
                   add_rows(sums, load_digits<kPadded>(digits + t, count),
                            segment.values + (t * head_size + at), head_size, count);
                 });
  }
}

}  // namespace
}  // namespace mote::avx2
