// SPDX-License-Identifier: Apache-2.0
// The normative kernels: every other one must give the same bits. They are always built, so that
// every other can be compared with them wherever it runs.
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

/// A lane of the vector in a product: int16, even where the weights are int8, because compilers
/// have instructions that multiply and add pairs of int16. Where size counts, as it stands.
using Lane = std::conditional_t<kFavorsSize, std::int8_t, std::int16_t>;

/// Rows that share one widening of the vector's blocks.
constexpr std::uint32_t kRowsPerPass = kFavorsSize ? 1 : 8;

/// The lanes as a product takes them, in `memory` where they must be widened.
///   memory, values (count)
template <typename To>
const To* widen(To* memory, const std::int8_t* values, std::uint32_t count) {
  if constexpr (sizeof(To) == sizeof(std::int8_t)) {
    return values;
  } else {
    std::copy_n(values, count, memory);
    return memory;
  }
}

/// Exact dot product.
///   weights, x (count)
template <typename Weight>
std::int32_t dot(const Weight* weights, const Lane* x, std::uint32_t count) {
  std::int32_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += weights[i] * x[i];
  return sum;
}

/// The same for 16 lanes of int8, a loop so short that gcc would take it apart before it looks for
/// such instructions.
std::int32_t dot_of_16(const std::int8_t* weights, const Lane* x) {
  std::int32_t sum = 0;
#pragma GCC unroll 1
  for (std::uint32_t i = 0; i < 16; ++i) sum += weights[i] * x[i];
  return sum;
}

/// One block of int8 weights; B fixed where it is known, so that loops unroll.
template <std::uint32_t B>
struct Int8Block {
  static std::int32_t dot_product(const std::uint8_t* weights, const Lane* x, std::uint32_t block) {
    const auto* w = reinterpret_cast<const std::int8_t*>(weights);
    return B == 16 ? dot_of_16(w, x) : dot(w, x, lanes(block));
  }
  static std::int64_t factor(const MatrixView&, std::size_t) { return 1; }
  static constexpr std::uint32_t lanes(std::uint32_t block) { return B != 0 ? B : block; }
  static constexpr std::uint32_t bytes(std::uint32_t block) { return lanes(block); }
};

/// The same for int8_pairs, which other kernels than the reference are for.
struct PairsBlock : Int8Block<0> {
  static std::int32_t dot_product(const std::uint8_t* weights, const Lane* x, std::uint32_t block) {
    std::uint8_t plain[kMaxBlock];
    for (std::uint32_t i = 0; i < block; ++i) {
      plain[i] = weights[i] ^ stored_flip(WeightFormat::int8_pairs, i);
    }
    return Int8Block::dot_product(plain, x, block);
  }
};

/// The same for int4: lanes j and j + B / 2 share byte j, each stored plus 8.
template <std::uint32_t B>
struct Int4Block {
  static std::int32_t dot_product(const std::uint8_t* weights, const Lane* x, std::uint32_t block) {
    const std::uint32_t half = bytes(block);
    std::int16_t w[kMaxBlock];
    for (std::uint32_t j = 0; j < half; ++j) {
      w[j] = static_cast<std::int16_t>((weights[j] & 15) - 8);
      w[j + half] = static_cast<std::int16_t>((weights[j] >> 4) - 8);
    }
    return dot(w, x, lanes(block));
  }
  static std::int64_t factor(const MatrixView& m, std::size_t index) {
    return m.block_factors[index];
  }
  static constexpr std::uint32_t lanes(std::uint32_t block) { return B != 0 ? B : block; }
  static constexpr std::uint32_t bytes(std::uint32_t block) { return lanes(block) / 2; }
};

/// `Rows` rows of the product, from `first` on; their number is fixed so that sums stay in
/// registers.
///   unit  exponent of a sum, before the scale of its row
template <typename Block, std::uint32_t Rows>
void multiply_rows(std::int32_t* out, const MatrixView& m, const ActivationView& x,
                   std::uint32_t first, int unit) {
  const std::uint32_t blocks = m.blocks();
  const std::size_t row_bytes = std::size_t{blocks} * Block::bytes(m.block);
  const std::uint8_t* weights = m.weights + first * row_bytes;
  const std::int8_t* values = x.values;
  Lane memory[kMaxBlock];
  std::int64_t sums[Rows] = {};
  for (std::uint32_t b = 0; b < blocks; ++b) {
    if (x.scales[b] != 0) {
      const Lane* lanes = widen(memory, values, Block::lanes(m.block));
      for (std::uint32_t r = 0; r < Rows; ++r) {
        const std::int64_t scale =
            x.scales[b] * Block::factor(m, std::size_t{first + r} * blocks + b);
        sums[r] += Block::dot_product(weights + r * row_bytes, lanes, m.block) * scale;
      }
    }
    weights += Block::bytes(m.block);
    values += Block::lanes(m.block);
  }
  for (std::uint32_t r = 0; r < Rows; ++r) {
    const Scale16 scale = m.row_scales[first + r];
    out[first + r] =
        multiply_shift(sums[r], scale.mantissa() * x.factor.mantissa, -(unit + scale.exponent()));
  }
}

template <typename Block>
void matvec(std::int32_t* out, const MatrixView& m, const ActivationView& x, int fraction_bits) {
  const int unit = x.factor.exponent + m.exponent + fraction_bits;
  std::uint32_t r = 0;
  for (; r + kRowsPerPass <= m.rows; r += kRowsPerPass) {
    multiply_rows<Block, kRowsPerPass>(out, m, x, r, unit);
  }
  if constexpr (kRowsPerPass == 1) return;
  for (; r < m.rows; ++r) multiply_rows<Block, 1>(out, m, x, r, unit);
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

void ref::matvec_pairs_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                              int fraction_bits) {
  const int unit = x.factor.exponent + matrix.exponent + fraction_bits;
  for (std::uint32_t r = 0; r < matrix.rows; ++r) {
    multiply_rows<PairsBlock, 1>(out, matrix, x, r, unit);
  }
}

void ref::matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                        int fraction_bits) {
  MOTE_KERNEL_ASSERT(matrix.block <= kMaxBlock);
  const bool is_int4 = matrix.format == WeightFormat::int4;
  if (matrix.format == WeightFormat::int8_pairs) {
    return matvec_pairs_s8_s32(out, matrix, x, fraction_bits);
  }
  if constexpr (kFavorsSize) {
    return is_int4 ? matvec<Int4Block<0>>(out, matrix, x, fraction_bits)
                   : matvec<Int8Block<0>>(out, matrix, x, fraction_bits);
  }
  switch (matrix.block) {
    case 8:
      return is_int4 ? matvec<Int4Block<8>>(out, matrix, x, fraction_bits)
                     : matvec<Int8Block<8>>(out, matrix, x, fraction_bits);
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
    if (m.format == WeightFormat::int8) {
      weight = static_cast<std::int8_t>(m.weights[lane]);
    } else if (m.format == WeightFormat::int8_pairs) {
      weight = static_cast<std::int8_t>(m.weights[lane] ^ stored_flip(m.format, lane));
    } else {
      const std::uint32_t half = m.block / 2;
      const std::uint32_t b = lane / m.block;
      const std::uint32_t j = lane % m.block;
      const std::uint8_t pair = m.weights[b * half + j % half];
      weight = (std::int64_t{j < half ? pair & 15 : pair >> 4} - 8) * m.block_factors[b];
    }
    out[i] = multiply_shift(weight, scale.mantissa(), shift);
  }
}

}  // namespace mote
