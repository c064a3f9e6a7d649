// SPDX-License-Identifier: Apache-2.0
// Softmax attention with AVX-512: eight or sixteen positions at a time. The reference is
// attend.cpp, whose steps these are: scores, weights, contributions, values.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "attention/attend_x86.hpp"
#include "kernels/exp2.hpp"
#include "kernels/x86_rounding.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline

namespace mote::avx512 {
namespace {

constexpr std::uint32_t kStep = 8;         // positions whose 64-bit numbers fill a vector
constexpr std::uint32_t kWeightStep = 16;  // positions whose weights do
constexpr std::uint32_t kQuad = 4;         // positions that one vpdpbusd adds up
constexpr int kContributionBits = 20;
constexpr std::size_t kOneVector = 64;  // any head of up to 64 lanes that is none of 8 or 16
constexpr int kDigits = 3;              // bytes of a contribution

/// The scales of eight rows. Those past the mask are 0.
struct Scales {
  __m512i mantissa;
  __m512i exponent;
};

INLINE Scales load_scales(const Scale16* scales, __mmask8 mask) {
  const __m512i bits = _mm512_cvtepu16_epi64(_mm_maskz_loadu_epi16(mask, scales));
  const __m512i raised = _mm512_srli_epi64(bits, 11);
  const __mmask8 is_normal = _mm512_test_epi64_mask(raised, raised);
  const __m512i fraction = _mm512_and_si512(bits, _mm512_set1_epi64(0x7ff));
  return {_mm512_mask_or_epi64(fraction, is_normal, fraction, _mm512_set1_epi64(0x800)),
          _mm512_mask_sub_epi64(raised, is_normal, raised, _mm512_set1_epi64(1))};
}

__mmask8 mask_of(std::uint32_t count) {
  return static_cast<__mmask8>((1U << (count < kStep ? count : kStep)) - 1U);
}

/// Sums of the even and of the odd int32 of each of eight vectors.
INLINE __m512i add_up(const __m512i (&sums)[8]) {
  __m512i pairs[4];
  for (int i = 0; i < 4; ++i) {
    pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(sums[2 * i], sums[2 * i + 1]),
                                _mm512_unpackhi_epi64(sums[2 * i], sums[2 * i + 1]));
  }
  __m512i fours[2];
  for (int i = 0; i < 2; ++i) {
    fours[i] = _mm512_add_epi32(_mm512_shuffle_i64x2(pairs[2 * i], pairs[2 * i + 1], 0x88),
                                _mm512_shuffle_i64x2(pairs[2 * i], pairs[2 * i + 1], 0xdd));
  }
  return _mm512_add_epi32(_mm512_shuffle_i64x2(fours[0], fours[1], 0x88),
                          _mm512_shuffle_i64x2(fours[0], fours[1], 0xdd));
}

/// Adds neighbouring int32; the low half of every 64 bits holds their sum.
INLINE __m512i add_pairs(__m512i sums) {
  return _mm512_add_epi32(sums, _mm512_srli_epi64(sums, 32));
}

/// Keys times query, of unsigned keys (plus 128), whose excess `start` takes out.
INLINE __m512i multiply_keys(__m512i start, __m512i keys, __m512i query) {
  return _mm512_dpbusd_epi32(start, _mm512_xor_si512(keys, _mm512_set1_epi8(-128)), query);
}

/// A query that is repeated as often as it fits 64 bytes (heads of 8 and 16 lanes), or is longer.
template <std::size_t H>
struct Query {
  static constexpr std::size_t kVectors = H != 0 ? 1 : 4;
  __m512i lanes[kVectors];
  __m512i start[kVectors];  // -128 * the sum of each four lanes
  std::size_t head_size;
};

template <std::size_t H>
INLINE Query<H> load_query(const std::int8_t* values, std::size_t head_size) {
  Query<H> query = {};
  query.head_size = head_size;
  if (H == 8) {
    query.lanes[0] =
        _mm512_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(values)));
  } else if (H == 16) {
    query.lanes[0] =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
  } else {
    for (std::size_t i = 0; i * 64 < head_size; ++i) {
      const std::size_t lanes = head_size - i * 64 < 64 ? head_size - i * 64 : 64;
      query.lanes[i % Query<H>::kVectors] =
          _mm512_maskz_loadu_epi8(~std::uint64_t{0} >> (64 - lanes), values + i * 64);
    }
  }
  for (std::size_t i = 0; i < Query<H>::kVectors; ++i) {
    query.start[i] = _mm512_sub_epi32(
        _mm512_setzero_si512(),
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), query.lanes[i]));
  }
  return query;
}

/// Dot products with `count` keys, at most eight, in the low halves.
template <std::size_t H>
INLINE __m512i dot_keys(const Query<H>& query, const std::int8_t* keys, std::uint32_t count) {
  if (H == 8) {
    const __mmask64 mask = ~std::uint64_t{0} >> (64 - count * 8);
    return add_pairs(
        multiply_keys(query.start[0], _mm512_maskz_loadu_epi8(mask, keys), query.lanes[0]));
  }
  if (H == 16) {
    const std::uint32_t first = count < 4 ? count : 4;
    const __mmask64 low = ~std::uint64_t{0} >> (64 - first * 16);
    const __mmask64 high = count == first ? 0 : ~std::uint64_t{0} >> (64 - (count - first) * 16);
    const __m512i a =
        multiply_keys(query.start[0], _mm512_maskz_loadu_epi8(low, keys), query.lanes[0]);
    const __m512i b =
        multiply_keys(query.start[0], _mm512_maskz_loadu_epi8(high, keys + 64), query.lanes[0]);
    const __m512i sums =
        add_pairs(_mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), sums);
  }
  __m512i sums[kStep];
  if (H == kOneVector) {
    const __mmask64 mask = ~std::uint64_t{0} >> (64 - query.head_size);
    for (std::uint32_t t = 0; t < kStep; ++t) {
      const std::int8_t* key = keys + (t < count ? t : 0) * query.head_size;
      sums[t] = multiply_keys(query.start[0], _mm512_maskz_loadu_epi8(mask, key), query.lanes[0]);
    }
    return add_pairs(add_up(sums));
  }
  for (std::uint32_t t = 0; t < kStep; ++t) {
    const std::int8_t* key = keys + (t < count ? t : 0) * query.head_size;
    sums[t] = _mm512_setzero_si512();
    for (std::size_t i = 0; i * 64 < query.head_size; ++i) {
      const std::size_t lanes = query.head_size - i * 64 < 64 ? query.head_size - i * 64 : 64;
      const __m512i part = _mm512_maskz_loadu_epi8(~std::uint64_t{0} >> (64 - lanes), key + i * 64);
      const std::size_t v = i % Query<H>::kVectors;
      sums[t] = _mm512_add_epi32(sums[t], multiply_keys(query.start[v], part, query.lanes[v]));
    }
  }
  return add_pairs(add_up(sums));
}

/// Rare shifts, one by one.
__m512i round_scores_slowly(__m512i products, __m512i shifts) {
  alignas(64) std::int64_t numbers[kStep];
  alignas(64) std::int64_t by[kStep];
  _mm512_store_si512(numbers, products);
  _mm512_store_si512(by, shifts);
  for (std::uint32_t i = 0; i < kStep; ++i) {
    numbers[i] = x86::round_shift(numbers[i], static_cast<int>(by[i]));
  }
  return _mm512_load_si512(numbers);
}

/// Base-2 scores of a segment in Q16; returns the largest of them and `largest`.
template <std::size_t H>
INLINE __m256i score_segment(std::uint32_t* scores, __m256i largest, const KvSegment& segment,
                             const Query<H>& query, Multiplier factor) {
  const __m512i one = _mm512_set1_epi64(1);
  for (std::uint32_t t = 0; t < segment.count; t += kStep) {
    const std::uint32_t count = segment.count - t < kStep ? segment.count - t : kStep;
    const __mmask8 mask = mask_of(count);
    const Scales scale = load_scales(segment.key_scales + t, mask);
    const __m512i dots = dot_keys(query, segment.keys + t * query.head_size, count);
    const __m512i wide = _mm512_srai_epi64(_mm512_slli_epi64(dots, 32), 32);
    const __m512i products = _mm512_mullo_epi64(
        wide, _mm512_mul_epu32(scale.mantissa, _mm512_set1_epi64(factor.mantissa)));
    // A shift of 63 gives 0, as all longer ones do.
    const __m512i shift = _mm512_min_epi64(
        _mm512_sub_epi64(_mm512_set1_epi64(-std::int64_t{factor.exponent}), scale.exponent),
        _mm512_set1_epi64(63));
    __m512i rounded = _mm512_srav_epi64(
        _mm512_add_epi64(products, _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one))), shift);
    if (_mm512_mask_cmplt_epi64_mask(mask, shift, one) != 0) {
      rounded = round_scores_slowly(products, shift);
    }
    const __m256i saturated = _mm512_cvtsepi64_epi32(rounded);
    _mm256_mask_storeu_epi32(scores + t, mask, saturated);
    largest = _mm256_mask_max_epi32(largest, mask, largest, saturated);
  }
  return largest;
}

/// softmax_weight of sixteen scores.
INLINE __m512i weigh(__m512i scores, __m512i largest) {
  const __m512i below = _mm512_sub_epi32(largest, scores);
  const __m512i whole = _mm512_srli_epi32(below, 16);
  const __m512i index = _mm512_and_si512(_mm512_srli_epi32(below, 8), _mm512_set1_epi32(0xff));
  const __m512i between = _mm512_and_si512(below, _mm512_set1_epi32(0xff));
  // Each gathered 64 bits hold a power and the one after it.
  const void* table = &kPowersOfTwo;
  const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(index), table, 4);
  const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(index, 1), table, 4);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const __m512i power = _mm512_permutex2var_epi32(low, even, high);
  const __m512i step = _mm512_sub_epi32(power, _mm512_permutex2var_epi32(low, odd, high));
  const __m512i fall = _mm512_srli_epi32(
      _mm512_add_epi32(_mm512_mullo_epi32(step, between), _mm512_set1_epi32(128)), 8);
  const __m512i twice = _mm512_slli_epi32(_mm512_sub_epi32(power, fall), 1);
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i q30 = _mm512_srli_epi32(_mm512_add_epi32(_mm512_srlv_epi32(twice, whole), one), 1);
  const __m512i q24 = _mm512_srli_epi32(_mm512_add_epi32(q30, _mm512_set1_epi32(32)), 6);
  return _mm512_maskz_mov_epi32(_mm512_cmplt_epu32_mask(whole, _mm512_set1_epi32(31)), q24);
}

/// What all positions together decide about the weights.
struct Totals {
  __m512i sum;    // of the weights, in parts
  __m512i width;  // bits of the largest weight * value scale, in parts
};

/// Bits of each weight * scale; 0 where it is 0.
INLINE __m512i product_width(__m256i weights, const Scales& scale) {
  const __m512i product = _mm512_mul_epu32(_mm512_cvtepu32_epi64(weights), scale.mantissa);
  const __m512i bits = _mm512_sub_epi64(_mm512_set1_epi64(64), _mm512_lzcnt_epi64(product));
  return _mm512_maskz_add_epi64(_mm512_test_epi64_mask(product, product), bits, scale.exponent);
}

/// Replaces a segment's scores by weights and adds to `totals` what they say.
INLINE void weigh_segment(std::uint32_t* scores, Totals& totals, const KvSegment& segment,
                          std::int32_t largest) {
  const __m512i top = _mm512_set1_epi32(largest);
  for (std::uint32_t t = 0; t < segment.count; t += kWeightStep) {
    const std::uint32_t count = segment.count - t;
    const auto mask = static_cast<__mmask16>(count < kWeightStep ? (1U << count) - 1U : 0xffffU);
    const __m512i weights =
        _mm512_maskz_mov_epi32(mask, weigh(_mm512_maskz_loadu_epi32(mask, scores + t), top));
    _mm512_mask_storeu_epi32(scores + t, mask, weights);
    const __m512i low_half = _mm512_set1_epi64(0xffffffff);
    totals.sum = _mm512_add_epi64(totals.sum, _mm512_and_si512(weights, low_half));
    totals.sum = _mm512_add_epi64(totals.sum, _mm512_srli_epi64(weights, 32));
    const Scale16* scales = segment.value_scales + t;
    totals.width = _mm512_max_epi64(
        totals.width, product_width(_mm512_castsi512_si256(weights),
                                    load_scales(scales, static_cast<__mmask8>(mask))));
    totals.width = _mm512_max_epi64(
        totals.width, product_width(_mm512_extracti64x4_epi64(weights, 1),
                                    load_scales(scales + kStep, static_cast<__mmask8>(mask >> 8))));
  }
}

/// Contributions of eight positions in units of 2^(width - 20).
INLINE __m256i contribute(__m256i weights, const Scales& scale, int width) {
  const __m512i product = _mm512_mul_epu32(_mm512_cvtepu32_epi64(weights), scale.mantissa);
  const __m512i shift =
      _mm512_sub_epi64(_mm512_set1_epi64(width - kContributionBits), scale.exponent);
  const __m512i one = _mm512_set1_epi64(1);
  const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one));
  const __m512i fallen = _mm512_srlv_epi64(_mm512_add_epi64(product, half), shift);
  const __m512i raised =
      _mm512_sllv_epi64(product, _mm512_sub_epi64(_mm512_setzero_si512(), shift));
  const __mmask8 falls = _mm512_cmpgt_epi64_mask(shift, _mm512_setzero_si512());
  return _mm512_cvtepi64_epi32(_mm512_mask_mov_epi64(raised, falls, fallen));
}

/// Bytes of the contributions of 16 positions: of each four positions, their lowest bytes side by
/// side, then the next ones.
INLINE void store_digits(std::uint32_t (&digits)[kWeightStep], const std::uint32_t* weights,
                         const Scale16* scales, std::uint32_t count, int width) {
  const auto mask = static_cast<__mmask16>(count < kWeightStep ? (1U << count) - 1U : 0xffffU);
  const auto low = static_cast<__mmask8>(mask);
  const auto high = static_cast<__mmask8>(mask >> 8);
  const __m512i all = _mm512_maskz_loadu_epi32(mask, weights);
  const __m256i first = contribute(_mm512_castsi512_si256(all), load_scales(scales, low), width);
  const __m256i second =
      contribute(_mm512_extracti64x4_epi64(all, 1), load_scales(scales + kStep, high), width);
  const __m512i numbers = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
  const __m512i by_digit =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  _mm512_store_si512(digits, _mm512_shuffle_epi8(numbers, by_digit));
}

/// Sixteen lanes of four rows, those of a lane side by side. Rows from `count` on are any.
INLINE __m512i load_quad(const std::int8_t* values, std::size_t head_size, std::uint32_t count,
                         __mmask16 lanes) {
  const std::size_t last = count < kQuad ? count - 1 : kQuad - 1;
  const auto row = [&](std::size_t r) {
    return _mm_maskz_loadu_epi8(lanes, values + (r < last ? r : last) * head_size);
  };
  __m512i rows = _mm512_castsi128_si512(row(0));
  rows = _mm512_inserti32x4(rows, row(1), 1);
  rows = _mm512_inserti32x4(rows, row(2), 2);
  return _mm512_inserti32x4(rows, row(3), 3);
}

/// Byte 4 i + j of the result is byte `stride` * j + i of a vector, in each of 16 / `stride` parts.
__m512i transpose_index(int stride) {
  alignas(64) std::uint8_t index[64];
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 4; ++j) {
      index[4 * i + j] =
          static_cast<std::uint8_t>(i / stride * 4 * stride + stride * j + i % stride);
    }
  }
  return _mm512_load_si512(index);
}

/// Adds sums of digits, which stand in units of 2^(8 d), to sixteen lanes.
void add_digits(std::int64_t* out, const __m512i* sums, __mmask16 lanes) {
  for (int half = 0; half < 2; ++half) {
    const auto mask = static_cast<__mmask8>(half == 0 ? lanes : lanes >> 8);
    __m512i total = _mm512_maskz_loadu_epi64(mask, out + 8 * half);
    for (int d = 0; d < kDigits; ++d) {
      const __m512i wide = _mm512_cvtepi32_epi64(half == 0 ? _mm512_castsi512_si256(sums[d])
                                                           : _mm512_extracti64x4_epi64(sums[d], 1));
      total = _mm512_add_epi64(total, _mm512_slli_epi64(wide, 8U * static_cast<unsigned>(d)));
    }
    _mm512_mask_storeu_epi64(out + 8 * half, mask, total);
  }
}

/// out[i] += sum over positions of contribution * values[t][i], for heads of 8 lanes.
void add_values_8(std::int64_t* out, const std::uint32_t* weights, const KvSegment& segment,
                  int width) {
  const __m512i index = transpose_index(8);
  const __m512i spread = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4);
  __m512i sums[kDigits];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  alignas(64) std::uint32_t digits[kWeightStep];
  for (std::uint32_t t = 0; t < segment.count; t += kWeightStep) {
    store_digits(digits, weights + t, segment.value_scales + t, segment.count - t, width);
    const __m512i all = _mm512_load_si512(digits);
    for (std::uint32_t i = 0; i < kWeightStep && t + i < segment.count; i += 8) {
      const std::uint32_t count = segment.count - t - i < 8 ? segment.count - t - i : 8;
      const __m512i rows = _mm512_permutexvar_epi8(
          index, _mm512_maskz_loadu_epi8(~std::uint64_t{0} >> (64 - 8 * count),
                                         segment.values + (t + i) * 8));
      for (int d = 0; d < kDigits; ++d) {
        const __m512i at = _mm512_add_epi32(spread, _mm512_set1_epi32(static_cast<int>(i) + d));
        sums[d] = _mm512_dpbusd_epi32(sums[d], _mm512_permutexvar_epi32(at, all), rows);
      }
    }
  }
  for (__m512i& sum : sums) {
    sum = _mm512_add_epi32(sum, _mm512_shuffle_i64x2(sum, sum, 0x4e));
  }
  add_digits(out, sums, 0xff);
}

/// The same for `Groups` times 16 lanes from `first` on, fewer in the last group.
template <std::size_t Groups>
INLINE void add_values(std::int64_t* out, const std::uint32_t* weights, const KvSegment& segment,
                       int width, std::size_t head_size, std::size_t first) {
  const __m512i index = transpose_index(16);
  __m512i sums[Groups][kDigits];
  for (auto& group : sums) {
    for (__m512i& sum : group) sum = _mm512_setzero_si512();
  }
  __mmask16 lanes[Groups];
  for (std::size_t g = 0; g < Groups; ++g) {
    const std::size_t rest = head_size - first - g * 16;
    lanes[g] = static_cast<__mmask16>(rest < 16 ? (1U << rest) - 1U : 0xffffU);
  }
  alignas(64) std::uint32_t digits[kWeightStep];
  for (std::uint32_t t = 0; t < segment.count; t += kWeightStep) {
    store_digits(digits, weights + t, segment.value_scales + t, segment.count - t, width);
    for (std::uint32_t i = 0; i < kWeightStep && t + i < segment.count; i += kQuad) {
      const std::int8_t* values = segment.values + (t + i) * head_size + first;
      __m512i by[kDigits];
      for (int d = 0; d < kDigits; ++d) {
        by[d] = _mm512_set1_epi32(static_cast<int>(digits[i + static_cast<std::uint32_t>(d)]));
      }
      for (std::size_t g = 0; g < Groups; ++g) {
        const __m512i rows = _mm512_permutexvar_epi8(
            index, load_quad(values + g * 16, head_size, segment.count - t - i, lanes[g]));
        for (int d = 0; d < kDigits; ++d) {
          sums[g][d] = _mm512_dpbusd_epi32(sums[g][d], by[d], rows);
        }
      }
    }
  }
  for (std::size_t g = 0; g < Groups; ++g) add_digits(out + first + g * 16, sums[g], lanes[g]);
}

void add_values_of(std::int64_t* out, const std::uint32_t* weights, const KvSegment& segment,
                   int width, std::size_t head_size) {
  for (std::size_t first = 0; first < head_size; first += 64) {
    const std::size_t groups = (head_size - first + 15) / 16;
    if (groups == 1) {
      add_values<1>(out, weights, segment, width, head_size, first);
    } else if (groups == 2) {
      add_values<2>(out, weights, segment, width, head_size, first);
    } else if (groups == 3) {
      add_values<3>(out, weights, segment, width, head_size, first);
    } else {
      add_values<4>(out, weights, segment, width, head_size, first);
    }
  }
}

/// What turns a dot product times its key's scale into a score in Q16.
Multiplier score_factor(const Scale16& scale, const Multiplier& score_scale) {
  const std::uint32_t raised = scale.bits >> 11;
  const std::uint32_t fraction = scale.bits & 0x7ffU;
  const std::uint64_t mantissa = raised != 0 ? fraction | 0x800U : fraction;
  const int exponent = static_cast<int>(raised != 0 ? raised - 1 : 0);
  return x86::normalize(
      mantissa * score_scale.mantissa,
      exponent + score_scale.exponent + kScoreFractionBits - 2 * kScaleFractionBits);
}

template <std::size_t H>
void attend(WideVector& out, std::uint32_t* scratch, std::span<const KvSegment> segments,
            std::span<const QuantizedVector> queries, Multiplier score_scale) {
  const std::size_t head_size = out.values.size();
  const std::size_t count = segments.size();
  const KvSegment* all = segments.data();
  std::uint32_t* scores = scratch;
  __m256i best = _mm256_set1_epi32(INT32_MIN);
  for (std::size_t s = 0; s < count; ++s) {
    const QuantizedVector& q = queries.data()[queries.size() == 1 ? 0 : s];
    best = score_segment<H>(scores, best, all[s], load_query<H>(q.values, head_size),
                            score_factor(q.scale, score_scale));
    scores += all[s].count;
  }
  const std::int32_t largest = _mm512_reduce_max_epi32(_mm512_broadcast_i32x8(best));
  Totals totals = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  std::uint32_t* weights = scratch;
  for (std::size_t s = 0; s < count; weights += all[s].count, ++s) {
    weigh_segment(weights, totals, all[s], largest);
  }
  const auto sum = static_cast<std::uint64_t>(_mm512_reduce_add_epi64(totals.sum));
  const auto width = static_cast<int>(_mm512_reduce_max_epi64(totals.width));
  std::int64_t* lanes = out.values.data();
  for (std::size_t i = 0; i < head_size; ++i) lanes[i] = 0;
  weights = scratch;
  for (std::size_t s = 0; s < count; weights += all[s].count, ++s) {
    if (H == 8) {
      add_values_8(lanes, weights, all[s], width);
    } else {
      add_values_of(lanes, weights, all[s], width, head_size);
    }
  }
  out.unit = reciprocal(sum, width - kContributionBits - kScaleFractionBits);
}

}  // namespace

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  switch (out.values.size()) {
    case 8:
      return attend<8>(out, scratch.data(), segments, queries, score_scale);
    case 16:
      return attend<16>(out, scratch.data(), segments, queries, score_scale);
    default:
      if (out.values.size() <= kOneVector) {
        return attend<kOneVector>(out, scratch.data(), segments, queries, score_scale);
      }
      return attend<0>(out, scratch.data(), segments, queries, score_scale);
  }
}

}  // namespace mote::avx512
