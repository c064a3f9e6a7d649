// SPDX-License-Identifier: Apache-2.0
// The normative kernels: every other one must give the same bits.
#include <algorithm>
#include <cstddef>

#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"

namespace mote {
namespace {

/// Dot product of one block of int8 weights; B fixed where it is known, so that loops unroll.
template <std::uint32_t B>
struct Int8Block {
  static std::int32_t dot(const std::uint8_t* weights, const std::int8_t* x, std::uint32_t block) {
    const auto* w = reinterpret_cast<const std::int8_t*>(weights);
    const std::uint32_t count = B != 0 ? B : block;
    std::int32_t sum = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      sum += static_cast<std::int16_t>(w[i]) * static_cast<std::int16_t>(x[i]);
    }
    return sum;
  }
  static constexpr std::uint32_t bytes(std::uint32_t block) { return B != 0 ? B : block; }
};

/// The same for int4: lanes j and j + B / 2 share byte j, each stored plus 8.
template <std::uint32_t B>
struct Int4Block {
  static std::int32_t dot(const std::uint8_t* weights, const std::int8_t* x, std::uint32_t block) {
    const std::uint32_t half = bytes(block);
    std::int32_t sum = 0;
    for (std::uint32_t j = 0; j < half; ++j) {
      const auto low = static_cast<std::int16_t>((weights[j] & 15) - 8);
      const auto high = static_cast<std::int16_t>((weights[j] >> 4) - 8);
      sum += low * static_cast<std::int16_t>(x[j]) + high * static_cast<std::int16_t>(x[j + half]);
    }
    return sum;
  }
  static constexpr std::uint32_t bytes(std::uint32_t block) { return (B != 0 ? B : block) / 2; }
};

template <typename Block>
std::int64_t row_sum(const std::uint8_t* weights, const std::uint8_t* factors,
                     const ActivationView& x, std::uint32_t blocks, std::uint32_t block) {
  const std::int8_t* values = x.values;
  std::int64_t sum = 0;
  for (std::uint32_t b = 0; b < blocks; ++b) {
    std::int64_t scale = x.scales[b];
    if (factors != nullptr) scale *= factors[b];
    sum += Block::dot(weights, values, block) * scale;
    weights += Block::bytes(block);
    values += block;
  }
  return sum;
}

template <typename Block>
void matvec(std::int32_t* out, const MatrixView& m, const ActivationView& x, int fraction_bits) {
  const std::uint8_t* weights = m.weights;
  const std::uint8_t* factors = m.block_factors;
  const std::uint32_t blocks = m.blocks();
  const int unit = x.factor.exponent + m.exponent + fraction_bits;
  for (std::uint32_t r = 0; r < m.rows; ++r) {
    const std::int64_t sum = row_sum<Block>(weights, factors, x, blocks, m.block);
    const Scale16 scale = m.row_scales[r];
    out[r] = multiply_shift(sum, scale.mantissa() * x.factor.mantissa, -(unit + scale.exponent()));
    weights += m.row_bytes();
    if (factors != nullptr) factors += blocks;
  }
}

}  // namespace

int align_scales(std::uint32_t* out, std::span<const Scale16> scales) {
  int largest = 0;
  for (const Scale16 scale : scales) largest = std::max<int>(largest, scale.exponent());
  for (std::size_t b = 0; b < scales.size(); ++b) {
    out[b] = (scales[b].mantissa() << 15) >> (largest - scales[b].exponent());
  }
  return largest - 15 - kScaleFractionBits;
}

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  const bool is_int4 = matrix.format == WeightFormat::int4;
  switch (matrix.block) {
    case 16:
      return is_int4 ? matvec<Int4Block<16>>(out, matrix, x, fraction_bits)
                     : matvec<Int8Block<16>>(out, matrix, x, fraction_bits);
    case 32:
      return is_int4 ? matvec<Int4Block<32>>(out, matrix, x, fraction_bits)
                     : matvec<Int8Block<32>>(out, matrix, x, fraction_bits);
    case 64:
      return is_int4 ? matvec<Int4Block<64>>(out, matrix, x, fraction_bits)
                     : matvec<Int8Block<64>>(out, matrix, x, fraction_bits);
    default:
      return is_int4 ? matvec<Int4Block<0>>(out, matrix, x, fraction_bits)
                     : matvec<Int8Block<0>>(out, matrix, x, fraction_bits);
  }
}

void dequantize_row(std::span<std::int32_t> out, const MatrixView& matrix, std::uint32_t row,
                    std::uint32_t first_lane, int fraction_bits) {
  const MatrixView m = matrix.slice(row, 1);
  const Scale16 scale = m.row_scales[0];
  const int shift = -(scale.exponent() + m.exponent + fraction_bits);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto lane = static_cast<std::uint32_t>(first_lane + i);
    std::int64_t weight = 0;
    if (m.format == WeightFormat::int4) {
      const std::uint32_t half = m.block / 2;
      const std::uint32_t b = lane / m.block;
      const std::uint32_t j = lane % m.block;
      const std::uint8_t pair = m.weights[b * half + j % half];
      weight = (std::int64_t{j < half ? pair & 15 : pair >> 4} - 8) * m.block_factors[b];
    } else {
      weight = static_cast<std::int8_t>(m.weights[lane]);
    }
    out[i] = multiply_shift(weight, scale.mantissa(), shift);
  }
}

}  // namespace mote
