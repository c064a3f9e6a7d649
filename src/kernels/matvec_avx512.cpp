// SPDX-License-Identifier: Apache-2.0
// The product with AVX-512 and its instruction for dot products of int8 (VNNI).
//
// Eight rows a pass, 64 bytes of weights a row and step. vpdpbusd multiplies unsigned by signed
// bytes and adds up four of them: weights are made unsigned by adding 128 (int8) or are stored so
// (int4, plus 8), and what that adds is taken out again, by where sums begin. The sums of a block
// are added up while they have 32 bits, for several rows at once; then they meet the block's scale
// in 64 bits.
#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/isa_rounding.hpp"
#include "kernels/matvec.hpp"
#include "kernels/matvec_x86.hpp"
#include "kernels/step_runs.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline
#define INLINE_LAMBDA __attribute__((always_inline))

namespace mote::avx512 {
namespace {

constexpr std::uint32_t kRows = 8;
constexpr std::uint32_t kChunk = 64;  // lanes of int8 a step; int4 has twice as many
// Bytes; of 4096 to 16384, and of 1024 to 8192 behind the next pass, the best by measurement.
constexpr std::size_t kAhead = 8192;
constexpr std::size_t kBehindNext = 2048;
constexpr std::size_t kNear = 12288;  // smaller matrices are of models that the second cache holds

__mmask64 mask_of(std::uint32_t bytes) {
  return ~std::uint64_t{0} >> (64 - bytes);
}

/// Asks for weights that come later, in the order in which they lie: the rows of a pass are too
/// short for the machine to see where they lead, and all are read from its first step on. `at` of
/// the `pass` bytes at `weights` are done.
INLINE void fetch_ahead(const std::uint8_t* weights, std::size_t at, std::size_t pass) {
  const std::size_t ahead = std::max(kAhead, pass + kBehindNext);
  const auto address = reinterpret_cast<std::uintptr_t>(weights) + at + ahead;
  for (std::uint32_t i = 0; i < kRows; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(address + i * kChunk), _MM_HINT_T0);
  }
}

/// Asks for the rows of a later pass, of short rows: `pass` bytes, at most `Steps` chunks a row.
template <std::uint32_t Steps>
INLINE void fetch_later(const std::uint8_t* weights, std::size_t pass) {
  const auto address = reinterpret_cast<std::uintptr_t>(weights) + 4 * pass;
  for (std::uint32_t i = 0; i < kRows * Steps; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(address + i * kChunk), _MM_HINT_T0);
  }
}

/// Adds neighbouring int32; every 64 bits then hold their sum in the low half, and waste above it.
INLINE __m512i add_pairs(__m512i sums) {
  return _mm512_add_epi32(sums, _mm512_srli_epi64(sums, 32));
}

/// out[i] = the sum of the eight int64 of sums[i].
INLINE __m512i add_up(const __m512i (&sums)[kRows]) {
  __m512i pairs[4];
  for (int i = 0; i < 4; ++i) {
    pairs[i] = _mm512_add_epi64(_mm512_unpacklo_epi64(sums[2 * i], sums[2 * i + 1]),
                                _mm512_unpackhi_epi64(sums[2 * i], sums[2 * i + 1]));
  }
  __m512i fours[2];
  for (int i = 0; i < 2; ++i) {
    fours[i] = _mm512_add_epi64(_mm512_shuffle_i64x2(pairs[2 * i], pairs[2 * i + 1], 0x88),
                                _mm512_shuffle_i64x2(pairs[2 * i], pairs[2 * i + 1], 0xdd));
  }
  return _mm512_add_epi64(_mm512_shuffle_i64x2(fours[0], fours[1], 0x88),
                          _mm512_shuffle_i64x2(fours[0], fours[1], 0xdd));
}

/// out[i] = round(sums[i] * mantissa * x_mantissa * 2^(unit + exponent)) of the rows in `mask`.
INLINE void round_rows(std::int32_t* out, __m512i sums, const Scale16* row_scales, __mmask8 mask,
                       std::uint32_t x_mantissa, int unit) {
  const __m512i bits = _mm512_cvtepu16_epi64(_mm_maskz_loadu_epi16(mask, row_scales));
  const __mmask8 is_normal = _mm512_cmpge_epu64_mask(bits, _mm512_set1_epi64(0x800));
  const __m512i fraction = _mm512_and_si512(bits, _mm512_set1_epi64(0x7ff));
  const __m512i mantissa = _mm512_mul_epu32(
      _mm512_mask_or_epi64(fraction, is_normal, fraction, _mm512_set1_epi64(0x800)),
      _mm512_set1_epi64(x_mantissa));
  // One more than the exponent.
  const __m512i above = _mm512_max_epu64(_mm512_srli_epi64(bits, 11), _mm512_set1_epi64(1));
  // Of the upper half of a product, one bit of which rounds.
  const __m512i shift = _mm512_sub_epi64(_mm512_set1_epi64(1 - 33 - unit), above);
  if (_mm512_mask_cmplt_epi64_mask(mask, shift, _mm512_setzero_si512()) != 0) {
    alignas(64) std::int64_t values[kRows];
    _mm512_store_si512(values, sums);
    for (std::uint32_t r = 0; r < kRows && (mask >> r) != 0; ++r) {
      out[r] = isa::round_row(values[r], row_scales[r], x_mantissa, unit);
    }
    return;
  }
  // sum * mantissa = high * 2^32 + a rest that is below what is rounded. |sum| < 2^61.
  const __m512i low = _mm512_srli_epi64(_mm512_mul_epu32(sums, mantissa), 32);
  const __m512i high =
      _mm512_add_epi64(_mm512_mullo_epi64(_mm512_srai_epi64(sums, 32), mantissa), low);
  const __m512i rounded =
      _mm512_srai_epi64(_mm512_add_epi64(_mm512_srav_epi64(high, shift), _mm512_set1_epi64(1)), 1);
  _mm256_mask_storeu_epi32(out, mask, _mm512_cvtsepi64_epi32(rounded));
}

/// What the 128 that are added to every int8 weight add to each four lanes, with the sign of
/// a number that takes it out.
INLINE __m512i start_of(__m512i x) {
  return _mm512_sub_epi32(_mm512_setzero_si512(),
                          _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), x));
}

/// The sums of each four int32 of four rows: in each 128 bits, those of the rows side by side.
INLINE __m512i add_fours(const __m512i* rows) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[0], rows[1]),
                                      _mm512_unpackhi_epi32(rows[0], rows[1]));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[2], rows[3]),
                                      _mm512_unpackhi_epi32(rows[2], rows[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/// Sums of neighbouring 128 bits: those of a, then those of b.
INLINE __m512i add_parts(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/// Two numbers of each row in a step: those of rows 0 to 3 for the first block and for the second,
/// then those of rows 4 to 7.
INLINE __m512i first_of_two(__m512i dots) {
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(0, 0, 1, 0, 2, 0, 3, 0, 8, 0, 9, 0, 10, 0, 11, 0), dots);
}
INLINE __m512i second_of_two(__m512i dots) {
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(4, 0, 5, 0, 6, 0, 7, 0, 12, 0, 13, 0, 14, 0, 15, 0), dots);
}

/// What a step of the vector needs: its lanes, where sums begin, and the scales of its blocks as
/// RowSums<B> wants them.
template <std::uint32_t B>
struct Step {
  __m512i x;
  __m512i start;
  __m512i scale;
  __m512i second_scale;  // of blocks of 32
};

/// `lanes` of them, a multiple of B up to 64; the others become 0.
template <std::uint32_t B>
INLINE Step<B> load_step(const ActivationView& v, std::uint32_t lane, std::uint32_t lanes) {
  Step<B> step;
  step.x = _mm512_maskz_loadu_epi8(mask_of(lanes), v.values + lane);
  step.start = start_of(step.x);
  const auto blocks = static_cast<__mmask8>((1U << (lanes / B)) - 1U);
  const __m256i scales = _mm256_maskz_loadu_epi32(blocks, v.scales + lane / B);
  const __m512i all = _mm512_castsi256_si512(scales);
  if (B == 8) {
    step.scale = _mm512_cvtepu32_epi64(scales);
  } else if (B == 16) {
    step.scale = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), all);
  } else {
    step.scale = _mm512_broadcastd_epi32(_mm256_castsi256_si128(scales));
  }
  step.second_scale = B == 32 ? _mm512_permutexvar_epi32(_mm512_set1_epi32(1), all) : step.scale;
  return step;
}

/// 64-bit sums of eight rows. How they lie while they grow depends on the block.
template <std::uint32_t B>
struct RowSums {
  static_assert(B == 32 || B == 64);
  __m512i sums = _mm512_setzero_si512();

  INLINE void add(const __m512i (&dots)[kRows], const Step<B>& step) {
    const __m512i halves = add_parts(add_fours(dots), add_fours(dots + 4));
    const __m512i a = _mm512_mul_epi32(first_of_two(halves), step.scale);
    const __m512i b = _mm512_mul_epi32(second_of_two(halves), step.second_scale);
    sums = _mm512_add_epi64(sums, _mm512_add_epi64(a, b));
  }
  INLINE __m512i total() const { return sums; }
};

/// Each 128 bits are a block, and the rows stand side by side in them.
template <>
struct RowSums<16> {
  __m512i even[2] = {};  // rows 0 and 2, 4 and 6
  __m512i odd[2] = {};

  INLINE void add(const __m512i (&dots)[kRows], const Step<16>& step) {
    for (int i = 0; i < 2; ++i) {
      const __m512i fours = add_fours(dots + 4 * i);
      even[i] = _mm512_add_epi64(even[i], _mm512_mul_epi32(fours, step.scale));
      odd[i] = _mm512_add_epi64(odd[i], _mm512_mul_epi32(_mm512_srli_epi64(fours, 32), step.scale));
    }
  }
  INLINE __m512i total() const {
    const auto parts = [](__m512i a, __m512i b) INLINE_LAMBDA {
      return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
    };
    const __m512i pairs = parts(parts(even[0], odd[0]), parts(even[1], odd[1]));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), pairs);
  }
};

/// Each 64 bits are a block.
template <>
struct RowSums<8> {
  __m512i sums[kRows] = {};

  INLINE void add(const __m512i (&dots)[kRows], const Step<8>& step) {
    for (std::uint32_t r = 0; r < kRows; ++r) {
      sums[r] = _mm512_add_epi64(sums[r], _mm512_mul_epi32(add_pairs(dots[r]), step.scale));
    }
  }
  INLINE __m512i total() const { return add_up(sums); }
};

/// Eight rows that lie one after another, or the last one again where there are fewer.
struct Rows {
  const std::uint8_t* at[kRows];

  INLINE Rows(const MatrixView& m, std::uint32_t first, std::uint32_t count) {
    const std::uint8_t* row = m.weights + std::size_t{first} * m.columns;
    for (std::uint32_t r = 0; r < kRows; ++r) {
      at[r] = row;
      if (count == kRows || r + 1 < count) row += m.columns;
    }
  }
};

/// Products of a step of `lanes` lanes with eight rows.
template <std::uint32_t B>
INLINE void multiply_step(__m512i (&dots)[kRows], const Rows& rows, std::uint32_t lane,
                          std::uint32_t lanes, const Step<B>& step) {
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const std::uint8_t* const row = rows.at[r] + lane;
    const __m512i weights =
        lanes == kChunk ? _mm512_loadu_si512(row) : _mm512_maskz_loadu_epi8(mask_of(lanes), row);
    dots[r] =
        _mm512_dpbusd_epi32(step.start, _mm512_xor_si512(weights, _mm512_set1_epi8(-128)), step.x);
  }
}

/// Calls multiply(first row, rows, their number and mask) for each eight rows.
template <typename Multiply>
INLINE void for_each_rows(const MatrixView& m, const Multiply& multiply) {
  std::uint32_t first = 0;
  for (; first + kRows <= m.rows; first += kRows) multiply(first, Rows(m, first, kRows), 0xff);
  if (first == m.rows) return;
  const std::uint32_t count = m.rows - first;
  multiply(first, Rows(m, first, count), static_cast<__mmask8>(0xffU >> (8 - count)));
}

/// Rows of up to `Steps` steps, for which the vector stays in registers; the last one has kChunk
/// lanes where kFull is set.
template <std::uint32_t B, std::uint32_t Steps, bool kFull>
void matvec_narrow_int8(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                        int unit) {
  const MatrixView m = matrix;  // whose numbers stay in registers while `out` is written
  const std::uint32_t x_mantissa = x.factor.mantissa;
  Step<B> steps[Steps];
  constexpr std::uint32_t kLast = (Steps - 1) * kChunk;
  const std::uint32_t last_lanes = kFull ? kChunk : m.columns - kLast;
  for (std::uint32_t i = 0; i + 1 < Steps; ++i) steps[i] = load_step<B>(x, i * kChunk, kChunk);
  steps[Steps - 1] = load_step<B>(x, kLast, last_lanes);
  const bool is_far = std::size_t{m.rows} * m.columns > kNear;
  for_each_rows(m, [&](std::uint32_t first, const Rows& rows, __mmask8 mask) INLINE_LAMBDA {
    RowSums<B> sums;
    __m512i dots[kRows];
    if (is_far) fetch_later<Steps>(rows.at[0], kRows * m.columns);
    for (std::uint32_t i = 0; i < Steps; ++i) {
      multiply_step(dots, rows, i * kChunk, i + 1 < Steps ? kChunk : last_lanes, steps[i]);
      sums.add(dots, steps[i]);
    }
    round_rows(out + first, sums.total(), m.row_scales + first, mask, x_mantissa, unit);
  });
}

template <std::uint32_t B, std::uint32_t Steps>
INLINE void matvec_narrow_int8(std::int32_t* out, const MatrixView& m, const ActivationView& x,
                               int unit) {
  if (m.columns == Steps * kChunk) return matvec_narrow_int8<B, Steps, true>(out, m, x, unit);
  matvec_narrow_int8<B, Steps, false>(out, m, x, unit);
}

template <std::uint32_t B>
void matvec_int8(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  StepRuns runs;
  find_runs<B, kChunk>(runs, x.scales, m.columns);
  for_each_rows(m, [&](std::uint32_t first, const Rows& rows, __mmask8 mask) INLINE_LAMBDA {
    RowSums<B> sums;
    __m512i dots[kRows];
    for (std::uint32_t i = 0; i < runs.count; ++i) {
      const std::uint32_t end = runs.end[i];
      std::uint32_t lane = runs.first[i];
      for (; lane + kChunk <= end; lane += kChunk) {
        fetch_ahead(rows.at[0], kRows * lane, kRows * m.columns);
        const Step<B> step = load_step<B>(x, lane, kChunk);
        multiply_step(dots, rows, lane, kChunk, step);
        sums.add(dots, step);
      }
      if (lane < end) {
        const Step<B> step = load_step<B>(x, lane, end - lane);
        multiply_step(dots, rows, lane, end - lane, step);
        sums.add(dots, step);
      }
    }
    round_rows(out + first, sums.total(), m.row_scales + first, mask, x.factor.mantissa, unit);
  });
}

template <std::uint32_t B>
void matvec_any_int8(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  switch ((m.columns + kChunk - 1) / kChunk) {
    case 1:
      return matvec_narrow_int8<B, 1>(out, m, x, unit);
    case 2:
      return matvec_narrow_int8<B, 2>(out, m, x, unit);
    case 3:
      return matvec_narrow_int8<B, 3>(out, m, x, unit);
    default:
      return matvec_int8<B>(out, m, x, unit);
  }
}

/// Lanes of an int4 step: of each block the first halves, and the second halves.
template <std::uint32_t B>
struct Halves {
  __m512i low;
  __m512i high;
};

template <std::uint32_t B>
INLINE Halves<B> split_halves(const std::int8_t* x, std::uint32_t lanes) {
  const std::uint32_t rest = lanes > 64 ? lanes - 64 : 0;
  const __mmask64 first = ~std::uint64_t{0} >> (64 - (lanes - rest));
  const __mmask64 second = rest == 0 ? 0 : ~std::uint64_t{0} >> (64 - rest);
  const __m512i a = _mm512_maskz_loadu_epi8(first, x);
  const __m512i b = _mm512_maskz_loadu_epi8(second, x + 64);
  constexpr int kHalf = B / 8;  // int32 of a half block
  const __m512i index = _mm512_setr_epi32(
      0 / kHalf * kHalf + 0, 1 / kHalf * kHalf + 1, 2 / kHalf * kHalf + 2, 3 / kHalf * kHalf + 3,
      4 / kHalf * kHalf + 4, 5 / kHalf * kHalf + 5, 6 / kHalf * kHalf + 6, 7 / kHalf * kHalf + 7,
      8 / kHalf * kHalf + 8, 9 / kHalf * kHalf + 9, 10 / kHalf * kHalf + 10,
      11 / kHalf * kHalf + 11, 12 / kHalf * kHalf + 12, 13 / kHalf * kHalf + 13,
      14 / kHalf * kHalf + 14, 15 / kHalf * kHalf + 15);
  const __m512i next = _mm512_add_epi32(index, _mm512_set1_epi32(kHalf));
  return {_mm512_permutex2var_epi32(a, index, b), _mm512_permutex2var_epi32(a, next, b)};
}

/// The factor of each 64 bits of sums of 128 lanes, `count` of them.
template <std::uint32_t B>
INLINE __m512i spread_factors(const std::uint8_t* factors, std::uint32_t count) {
  const auto mask = static_cast<__mmask16>((1U << count) - 1U);
  const __m128i all = _mm_maskz_loadu_epi8(mask, factors);
  constexpr int k = B / 16;  // 64-bit sums a block
  const __m128i index =
      _mm_setr_epi8(0, 1 / k, 2 / k, 3 / k, 4 / k, 5 / k, 6 / k, 7 / k, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_cvtepu8_epi64(_mm_shuffle_epi8(all, index));
}

template <std::uint32_t B>
INLINE __m512i spread_scales_int4(const std::uint32_t* scales, std::uint32_t count) {
  const auto mask = static_cast<__mmask8>((1U << count) - 1U);
  const __m512i all = _mm512_castsi256_si512(_mm256_maskz_loadu_epi32(mask, scales));
  constexpr int k = B / 16;  // 64-bit sums a block
  const __m512i index =
      _mm512_setr_epi32(0, 0, 1 / k, 0, 2 / k, 0, 3 / k, 0, 4 / k, 0, 5 / k, 0, 6 / k, 0, 7 / k, 0);
  return _mm512_maskz_permutexvar_epi32(0x5555, index, all);
}

/// Adds one step of int4 to the sums of eight rows.
template <std::uint32_t B>
INLINE void add_int4(__m512i (&sums)[kRows], const std::uint8_t* const (&rows)[kRows],
                     const std::uint8_t* const (&factors)[kRows], const ActivationView& v,
                     std::uint32_t lane, std::uint32_t lanes, std::size_t pass) {
  const __mmask64 mask = ~std::uint64_t{0} >> (64 - lanes / 2);
  const __m512i nibble = _mm512_set1_epi8(15);
  const Halves<B> x = split_halves<B>(v.values + lane, lanes);
  const std::uint32_t blocks = lanes / B;
  const __m512i scale = spread_scales_int4<B>(v.scales + lane / B, blocks);
  const __m512i eight = _mm512_set1_epi8(8);
  const __m512i eights =
      _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), eight, x.low), eight, x.high);
  const __m512i start = _mm512_sub_epi32(_mm512_setzero_si512(), eights);
  fetch_ahead(rows[0], kRows * (lane / 2), pass);
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const __m512i w = lanes == 2 * kChunk ? _mm512_loadu_si512(rows[r] + lane / 2)
                                          : _mm512_maskz_loadu_epi8(mask, rows[r] + lane / 2);
    __m512i dots = _mm512_dpbusd_epi32(start, _mm512_and_si512(w, nibble), x.low);
    dots = _mm512_dpbusd_epi32(dots, _mm512_and_si512(_mm512_srli_epi16(w, 4), nibble), x.high);
    const __m512i factor = spread_factors<B>(factors[r] + lane / B, blocks);
    const __m512i products = _mm512_mul_epi32(add_pairs(dots), factor);
    sums[r] = _mm512_add_epi64(sums[r], _mm512_mul_epi32(products, scale));
  }
}

template <std::uint32_t B>
void matvec_int4(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  constexpr std::uint32_t kStep = 2 * kChunk;
  const std::size_t blocks = m.columns / B;
  const std::size_t pass = kRows * std::size_t{m.columns / 2};
  StepRuns runs;
  find_runs<B, kStep>(runs, x.scales, m.columns);
  for (std::uint32_t first = 0; first < m.rows; first += kRows) {
    const std::uint32_t count = m.rows - first < kRows ? m.rows - first : kRows;
    const std::uint8_t* rows[kRows];
    const std::uint8_t* factors[kRows];
    for (std::uint32_t r = 0; r < kRows; ++r) {
      const std::size_t row = first + (r < count ? r : 0);
      rows[r] = m.weights + row * (m.columns / 2);
      factors[r] = m.block_factors + row * blocks;
    }
    __m512i sums[kRows];
    for (__m512i& sum : sums) sum = _mm512_setzero_si512();
    for (std::uint32_t i = 0; i < runs.count; ++i) {
      const std::uint32_t end = runs.end[i];
      std::uint32_t lane = runs.first[i];
      for (; lane + kStep <= end; lane += kStep) {
        add_int4<B>(sums, rows, factors, x, lane, kStep, pass);
      }
      if (lane < end) add_int4<B>(sums, rows, factors, x, lane, end - lane, pass);
    }
    round_rows(out + first, add_up(sums), m.row_scales + first,
               static_cast<__mmask8>(0xffU >> (8 - count)), x.factor.mantissa, unit);
  }
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  if (matrix.format == WeightFormat::int8_pairs) {
    return ref::matvec_pairs_s8_s32(out, matrix, x, fraction_bits);
  }
  const int unit = x.factor.exponent + matrix.exponent + fraction_bits;
  const bool is_int4 = matrix.format == WeightFormat::int4;
  switch (matrix.block) {
    case 8:
      if (is_int4) break;
      return matvec_any_int8<8>(out, matrix, x, unit);
    case 16:
      return is_int4 ? matvec_int4<16>(out, matrix, x, unit)
                     : matvec_any_int8<16>(out, matrix, x, unit);
    case 32:
      return is_int4 ? matvec_int4<32>(out, matrix, x, unit)
                     : matvec_any_int8<32>(out, matrix, x, unit);
    case 64:
      return is_int4 ? matvec_int4<64>(out, matrix, x, unit)
                     : matvec_any_int8<64>(out, matrix, x, unit);
    default:
      break;
  }
  ref::matvec_s8_s32(out, matrix, x, fraction_bits);
}

}  // namespace mote::avx512
