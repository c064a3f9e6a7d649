// SPDX-License-Identifier: Apache-2.0
// The product for 64-bit Arm with the dot product extension (Armv8.2-A, always from Armv8.4-A on).
//
// Four rows a pass. SDOT adds the products of four signed bytes to each 32 bits; what it made of a
// block is added up for the four rows together, so that one vector has a number of each row, which
// meets the block's scale in 64 bits. int4 is stored plus 8, and what that adds is taken out of
// every block.
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline

namespace mote {
namespace {

constexpr std::uint32_t kRows = 4;

/// Four rows, of which those past the last are the first again.
struct Rows {
  const std::uint8_t* weights[kRows];
  const std::uint8_t* factors[kRows];  // int4 only

  INLINE Rows(const MatrixView& m, std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t r = 0; r < kRows; ++r) {
      const std::size_t row = first + (r < count ? r : 0);
      weights[r] = m.weights + row * m.row_bytes();
      factors[r] = m.block_factors != nullptr ? m.block_factors + row * m.blocks() : nullptr;
    }
  }
};

/// Sums of four rows, those of rows 0 and 1 and those of rows 2 and 3.
struct Sums {
  int64x2_t low = vdupq_n_s64(0);
  int64x2_t high = vdupq_n_s64(0);

  INLINE void add(int32x4_t dots, std::uint32_t scale) {
    const auto by = static_cast<std::int32_t>(scale);  // below 2^27
    low = vmlal_n_s32(low, vget_low_s32(dots), by);
    high = vmlal_high_n_s32(high, dots, by);
  }
};

/// The sum of the four numbers of each row.
INLINE int32x4_t add_up(const int32x4_t (&rows)[kRows]) {
  return vpaddq_s32(vpaddq_s32(rows[0], rows[1]), vpaddq_s32(rows[2], rows[3]));
}
INLINE int32x4_t add_up(const int32x2_t (&rows)[kRows]) {
  return vcombine_s32(vpadd_s32(rows[0], rows[1]), vpadd_s32(rows[2], rows[3]));
}

/// Dot products of a block of int8 with four rows.
template <std::uint32_t B>
INLINE int32x4_t dot_int8(const Rows& rows, std::size_t at, const std::int8_t* x) {
  int32x4_t dots[kRows];
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const auto* row = reinterpret_cast<const std::int8_t*>(rows.weights[r] + at);
    dots[r] = vdupq_n_s32(0);
    for (std::uint32_t i = 0; i < B; i += 16) {
      dots[r] = vdotq_s32(dots[r], vld1q_s8(row + i), vld1q_s8(x + i));
    }
  }
  return add_up(dots);
}

template <>
INLINE int32x4_t dot_int8<8>(const Rows& rows, std::size_t at, const std::int8_t* x) {
  int32x2_t dots[kRows];
  const int8x8_t lanes = vld1_s8(x);
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const auto* row = reinterpret_cast<const std::int8_t*>(rows.weights[r] + at);
    dots[r] = vdot_s32(vdup_n_s32(0), vld1_s8(row), lanes);
  }
  return add_up(dots);
}

/// Dot products of a block of int4: byte j holds lane j in its low half and lane j + B / 2 in its
/// high half.
template <std::uint32_t B>
INLINE int32x4_t dot_int4(const Rows& rows, std::size_t at, const std::int8_t* x) {
  constexpr std::uint32_t kHalf = B / 2;
  int32x4_t eights = vdupq_n_s32(0);
  for (std::uint32_t i = 0; i < B; i += 16) {
    eights = vdotq_s32(eights, vdupq_n_s8(8), vld1q_s8(x + i));
  }
  int32x4_t dots[kRows];
  for (std::uint32_t r = 0; r < kRows; ++r) {
    dots[r] = vdupq_n_s32(0);
    for (std::uint32_t i = 0; i < kHalf; i += 16) {
      const uint8x16_t pairs = vld1q_u8(rows.weights[r] + at + i);
      const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15)));
      const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4));
      dots[r] = vdotq_s32(dots[r], low, vld1q_s8(x + i));
      dots[r] = vdotq_s32(dots[r], high, vld1q_s8(x + kHalf + i));
    }
  }
  return vsubq_s32(add_up(dots), vdupq_n_s32(vaddvq_s32(eights)));
}

template <>
INLINE int32x4_t dot_int4<16>(const Rows& rows, std::size_t at, const std::int8_t* x) {
  const int32x4_t eights = vdotq_s32(vdupq_n_s32(0), vdupq_n_s8(8), vld1q_s8(x));
  int32x2_t dots[kRows];
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const uint8x8_t pairs = vld1_u8(rows.weights[r] + at);
    const int8x8_t low = vreinterpret_s8_u8(vand_u8(pairs, vdup_n_u8(15)));
    const int8x8_t high = vreinterpret_s8_u8(vshr_n_u8(pairs, 4));
    dots[r] = vdot_s32(vdot_s32(vdup_n_s32(0), low, vld1_s8(x)), high, vld1_s8(x + 8));
  }
  return vsubq_s32(add_up(dots), vdupq_n_s32(vaddvq_s32(eights)));
}

/// The factors of a block in four rows; times a dot product they stay below 2^25.
INLINE int32x4_t load_factors(const Rows& rows, std::size_t block) {
  const std::int32_t factors[kRows] = {rows.factors[0][block], rows.factors[1][block],
                                       rows.factors[2][block], rows.factors[3][block]};
  return vld1q_s32(factors);
}

template <std::uint32_t B, bool IsInt4>
void matvec(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  const std::size_t blocks = m.blocks();
  for (std::uint32_t first = 0; first < m.rows; first += kRows) {
    const std::uint32_t count = m.rows - first < kRows ? m.rows - first : kRows;
    const Rows rows(m, first, count);
    Sums sums;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::int8_t* lanes = x.values + b * B;
      if constexpr (IsInt4) {
        const int32x4_t dots = dot_int4<B>(rows, b * B / 2, lanes);
        sums.add(vmulq_s32(dots, load_factors(rows, b)), x.scales[b]);
      } else {
        sums.add(dot_int8<B>(rows, b * B, lanes), x.scales[b]);
      }
    }
    std::int64_t totals[kRows];
    vst1q_s64(totals, sums.low);
    vst1q_s64(totals + 2, sums.high);
    for (std::uint32_t r = 0; r < count; ++r) {
      const Scale16 scale = m.row_scales[first + r];
      out[first + r] = multiply_shift(totals[r], scale.mantissa() * x.factor.mantissa,
                                      -(unit + scale.exponent()));
    }
  }
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  const int unit = x.factor.exponent + matrix.exponent + fraction_bits;
  const bool is_int4 = matrix.format == WeightFormat::int4;
  switch (matrix.block) {
    case 8:
      if (is_int4) break;
      return matvec<8, false>(out, matrix, x, unit);
    case 16:
      return is_int4 ? matvec<16, true>(out, matrix, x, unit)
                     : matvec<16, false>(out, matrix, x, unit);
    case 32:
      return is_int4 ? matvec<32, true>(out, matrix, x, unit)
                     : matvec<32, false>(out, matrix, x, unit);
    case 64:
      return is_int4 ? matvec<64, true>(out, matrix, x, unit)
                     : matvec<64, false>(out, matrix, x, unit);
    default:
      break;
  }
  ref::matvec_s8_s32(out, matrix, x, fraction_bits);
}

}  // namespace mote
