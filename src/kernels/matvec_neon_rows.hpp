// SPDX-License-Identifier: Apache-2.0
// The product with NEON, four rows a pass; how 16 products become four sums is that of the
// instruction set. Included by the file of each, once.
//
// Of a block of 32 int8 the four rows take 8 loads, 8 multiplications of 16 lanes, three pairwise
// additions that leave a dot product a lane, and two that multiply them with the block's scale.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/isa_rounding.hpp"
#include "kernels/matvec.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline

namespace mote {
namespace {

constexpr std::uint32_t kRows = 4;

/// The rows of a pass; those past the last are the first once more.
struct Rows {
  const std::uint8_t* weights[kRows];
  const std::uint8_t* factors[kRows];
};

/// Exact sums of four rows, before their scales.
struct Sums {
  int64x2_t low = vdupq_n_s64(0);
  int64x2_t high = vdupq_n_s64(0);

  /// dots (4) times the scale of their block, which is below 2^27.
  INLINE void add(int32x4_t dots, std::uint32_t scale) {
    const auto factor = static_cast<std::int32_t>(scale);
    low = vmlal_n_s32(low, vget_low_s32(dots), factor);
    high = vmlal_n_s32(high, vget_high_s32(dots), factor);
  }
};

/// The sum of each of four vectors.
INLINE int32x4_t add_across(const int32x4_t (&rows)[kRows]) {
  return vpaddq_s32(vpaddq_s32(rows[0], rows[1]), vpaddq_s32(rows[2], rows[3]));
}

/// `B` bytes, at least 8; 8 leave the upper half 0.
template <std::uint32_t B>
INLINE int8x16_t load(const void* bytes) {
  const auto* lanes = static_cast<const std::int8_t*>(bytes);
  if constexpr (B == 8) return vcombine_s8(vld1_s8(lanes), vdup_n_s8(0));
  return vld1q_s8(lanes);
}

template <typename Isa, std::uint32_t B>
INLINE int32x4_t multiply_int8(const Rows& rows, std::size_t lane, const std::int8_t* x) {
  int32x4_t dots[kRows];
  for (std::uint32_t r = 0; r < kRows; ++r) {
    dots[r] = vdupq_n_s32(0);
    for (std::uint32_t i = 0; i < B; i += 16) {
      dots[r] = Isa::dot(dots[r], load<B>(rows.weights[r] + lane + i), load<B>(x + i));
    }
  }
  return add_across(dots);
}

/// Lanes j and j + B / 2 of a block share byte j, each stored plus 8.
template <typename Isa, std::uint32_t B>
INLINE int32x4_t multiply_int4(const Rows& rows, std::size_t block, const std::int8_t* x) {
  int32x4_t dots[kRows];
  std::int32_t factors[kRows];
  for (std::uint32_t r = 0; r < kRows; ++r) {
    dots[r] = vdupq_n_s32(0);
    for (std::uint32_t i = 0; i < B / 2; i += 16) {
      constexpr std::uint32_t kBytes = B / 2 < 16 ? 8 : 16;
      const uint8x16_t pairs =
          vreinterpretq_u8_s8(load<kBytes>(rows.weights[r] + block * (B / 2) + i));
      const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15)));
      const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4));
      // Where half a vector is loaded, the lanes of x that meet the 8 subtracted there are 0.
      dots[r] = Isa::dot(dots[r], vsubq_s8(low, vdupq_n_s8(8)), load<kBytes>(x + i));
      dots[r] = Isa::dot(dots[r], vsubq_s8(high, vdupq_n_s8(8)), load<kBytes>(x + B / 2 + i));
    }
    factors[r] = rows.factors[r][block];
  }
  return vmulq_s32(add_across(dots), vld1q_s32(factors));
}

INLINE void round_rows(std::int32_t* out, const Sums& sums, const Scale16* row_scales,
                       std::uint32_t count, std::uint32_t x_mantissa, int unit) {
  std::int64_t values[kRows];
  vst1q_s64(values, sums.low);
  vst1q_s64(values + 2, sums.high);
  for (std::uint32_t r = 0; r < count; ++r) {
    out[r] = isa::round_row(values[r], row_scales[r], x_mantissa, unit);
  }
}

template <typename Isa, std::uint32_t B, bool IsInt4>
void multiply(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  const std::size_t blocks = m.columns / B;
  const std::size_t row_bytes = IsInt4 ? m.columns / 2 : m.columns;
  for (std::uint32_t first = 0; first < m.rows; first += kRows) {
    const std::uint32_t count = m.rows - first < kRows ? m.rows - first : kRows;
    Rows rows;
    for (std::uint32_t r = 0; r < kRows; ++r) {
      const std::size_t row = first + (r < count ? r : 0);
      rows.weights[r] = m.weights + row * row_bytes;
      rows.factors[r] = IsInt4 ? m.block_factors + row * blocks : nullptr;
    }
    Sums sums;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::int8_t* lanes = x.values + b * B;
      if constexpr (IsInt4) {
        sums.add(multiply_int4<Isa, B>(rows, b, lanes), x.scales[b]);
      } else {
        sums.add(multiply_int8<Isa, B>(rows, b * B, lanes), x.scales[b]);
      }
    }
    round_rows(out + first, sums, m.row_scales + first, count, x.factor.mantissa, unit);
  }
}

/// matvec_s8_s32 for blocks of 8 (int8) or 16 (int4) to 64; the reference does the others.
template <typename Isa>
void matvec(std::int32_t* out, const MatrixView& m, const ActivationView& x, int fraction_bits) {
  if (m.format == WeightFormat::int8_pairs) {
    return ref::matvec_pairs_s8_s32(out, m, x, fraction_bits);
  }
  const int unit = x.factor.exponent + m.exponent + fraction_bits;
  const bool is_int4 = m.format == WeightFormat::int4;
  switch (m.block) {
    case 8:
      if (is_int4) break;
      return multiply<Isa, 8, false>(out, m, x, unit);
    case 16:
      return is_int4 ? multiply<Isa, 16, true>(out, m, x, unit)
                     : multiply<Isa, 16, false>(out, m, x, unit);
    case 32:
      return is_int4 ? multiply<Isa, 32, true>(out, m, x, unit)
                     : multiply<Isa, 32, false>(out, m, x, unit);
    case 64:
      return is_int4 ? multiply<Isa, 64, true>(out, m, x, unit)
                     : multiply<Isa, 64, false>(out, m, x, unit);
    default:
      break;
  }
  ref::matvec_s8_s32(out, m, x, fraction_bits);
}

}  // namespace
}  // namespace mote
