// SPDX-License-Identifier: Apache-2.0
// The product for MVE row by row: for blocks other than 32 lanes, and for the rows that the three
// steps of matvec_mve.cpp leave over.
#include <arm_mve.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/matvec_mve.hpp"

namespace mote::mve {
namespace {

/// Dot product of one block; short ones are widened as they are read.
template <std::uint32_t B>
std::int32_t dot_int8(const std::uint8_t* weights, const std::int8_t* x) {
  const auto* const w = reinterpret_cast<const std::int8_t*>(weights);
  if constexpr (B == 8) return vmladavq_s16(vldrbq_s16(w), vldrbq_s16(x));
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; B < 8 && i < B; ++i) sum += w[i] * x[i];
  for (std::uint32_t i = 0; i + 16 <= B; i += 16) {
    sum = vmladavaq_s8(sum, vldrbq_s8(w + i), vldrbq_s8(x + i));
  }
  return sum;
}

/// The same for int4, without the 8 that nibbles are stored with.
template <std::uint32_t B>
std::int32_t dot_int4(const std::uint8_t* weights, const std::int8_t* x) {
  if constexpr (B == 8) {
    const int32x4_t pairs = vreinterpretq_s32_u32(vldrbq_u32(weights));
    const int32x4_t low = vsubq_n_s32(vandq_s32(pairs, vdupq_n_s32(15)), 8);
    const int32x4_t high = vsubq_n_s32(vshrq_n_s32(pairs, 4), 8);
    return vmladavaq_s32(vmladavq_s32(low, vldrbq_s32(x)), high, vldrbq_s32(x + 4));
  }
  if constexpr (B == 16) {
    const int16x8_t pairs = vreinterpretq_s16_u16(vldrbq_u16(weights));
    const int16x8_t low = vsubq_n_s16(vandq_s16(pairs, vdupq_n_s16(15)), 8);
    const int16x8_t high = vsubq_n_s16(vshrq_n_s16(pairs, 4), 8);
    return vmladavaq_s16(vmladavq_s16(low, vldrbq_s16(x)), high, vldrbq_s16(x + 8));
  }
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; B < 8 && i < B / 2; ++i) {
    sum += ((weights[i] & 15) - 8) * x[i] + ((weights[i] >> 4) - 8) * x[B / 2 + i];
  }
  for (std::uint32_t i = 0; i + 16 <= B / 2; i += 16) {
    const uint8x16_t pairs = vldrbq_u8(weights + i);
    const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15)));
    const int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4));
    sum = vmladavaq_s8(sum, vsubq_n_s8(low, 8), vldrbq_s8(x + i));
    sum = vmladavaq_s8(sum, vsubq_n_s8(high, 8), vldrbq_s8(x + B / 2 + i));
  }
  return sum;
}

template <std::uint32_t B, bool kInt4>
std::int64_t sum_row(const Product& p, std::uint32_t row) {
  const std::uint32_t blocks = p.m.columns / B;
  const std::size_t index = std::size_t{row} * blocks;
  const std::uint8_t* weights = p.m.weights + index * (kInt4 ? B / 2 : B);
  const std::int8_t* x = p.x.values;
  std::int64_t sum = 0;
  for (std::uint32_t b = 0; b < blocks; ++b) {
    std::int32_t dot = 0;
    if constexpr (kInt4) {
      dot = dot_int4<B>(weights, x) * p.m.block_factors[index + b];
    } else {
      dot = dot_int8<B>(weights, x);
    }
    sum += std::int64_t{dot} * static_cast<std::int32_t>(p.x.scales[b]);
    weights += kInt4 ? B / 2 : B;
    x += B;
  }
  return sum;
}

template <std::uint32_t B, bool kInt4>
void multiply_rows(const Product& p, std::uint32_t first, std::uint32_t last) {
  for (std::uint32_t row = first; row < last; row += kRows) {
    const std::uint32_t rows = std::min(kRows, last - row);
    std::int64_t sums[kRows];
    for (std::uint32_t r = 0; r < rows; ++r) sums[r] = sum_row<B, kInt4>(p, row + r);
    round_rows(p, sums, row, rows);
  }
}

}  // namespace

void multiply_singly(const Product& p, std::uint32_t first, std::uint32_t last) {
  switch (p.m.block) {
    case 2:
      return p.is_int4 ? multiply_rows<2, true>(p, first, last)
                       : multiply_rows<2, false>(p, first, last);
    case 4:
      return p.is_int4 ? multiply_rows<4, true>(p, first, last)
                       : multiply_rows<4, false>(p, first, last);
    case 8:
      return p.is_int4 ? multiply_rows<8, true>(p, first, last)
                       : multiply_rows<8, false>(p, first, last);
    case 16:
      return p.is_int4 ? multiply_rows<16, true>(p, first, last)
                       : multiply_rows<16, false>(p, first, last);
    case 32:
      return p.is_int4 ? multiply_rows<32, true>(p, first, last)
                       : multiply_rows<32, false>(p, first, last);
    default:
      return p.is_int4 ? multiply_rows<64, true>(p, first, last)
                       : multiply_rows<64, false>(p, first, last);
  }
}

}  // namespace mote::mve
