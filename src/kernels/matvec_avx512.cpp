// SPDX-License-Identifier: Apache-2.0
// The product with AVX-512 and its instruction for dot products of int8 (VNNI).
//
// Eight rows a pass, 64 bytes of weights a row and step. vpdpbusd multiplies unsigned by signed
// bytes and adds up four of them: weights are made unsigned by adding 128 (int8) or are stored so
// (int4, plus 8), and what that adds is taken out again, by where sums begin. The sums of a block
// are added up while they have 32 bits, for several rows at once; then they meet the block's scale
// in 64 bits.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/matvec.hpp"
#include "kernels/matvec_avx512_int4.hpp"
#include "kernels/matvec_avx512_rows.hpp"
#include "kernels/matvec_avx512_sums.hpp"
#include "kernels/matvec_x86.hpp"
#include "kernels/step_runs.hpp"

namespace mote::avx512 {
namespace {

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
