// SPDX-License-Identifier: Apache-2.0
// Weights in place: what the kernels read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mote/scale.hpp"

namespace mote {

enum class WeightFormat : std::uint8_t {
  raw = 0,   // not a weight matrix
  int8 = 1,  // a scale per row
  int4 = 2,  // a scale per row and an 8-bit factor per block
  int8_pairs =
      3,  // int8 whose even lanes are stored plus 128, for processors that take two at once
};

/// The bits in which the stored byte of an 8-bit lane differs from its int8.
constexpr std::uint8_t stored_flip(WeightFormat format, std::uint32_t lane) {
  return format == WeightFormat::int8_pairs && lane % 2 == 0 ? 0x80 : 0;
}

/// A weight matrix in place. Rows are padded with lanes of zero to whole blocks.
///   int8: real weight = weights[r][c] * row_scales[r].value() * 2^exponent
///   int4: real weight = nibble * block_factors[r][c / block] * row_scales[r].value() *
///         2^exponent,
///         nibble -8 to 7 stored plus 8; byte j of a block holds lanes j (low half) and j + block
///         / 2.
///   int8_pairs: as int8, int8 = byte ^ stored_flip(format, c)
struct MatrixView {
  const std::uint8_t* weights = nullptr;        // (rows, row_bytes)
  const Scale16* row_scales = nullptr;          // (rows)
  const std::uint8_t* block_factors = nullptr;  // (rows, columns / block), int4 only
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;  // padded to whole blocks
  std::uint32_t block = 0;
  WeightFormat format = WeightFormat::int8;
  int exponent = 0;

  constexpr std::uint32_t blocks() const { return columns / block; }
  constexpr std::uint32_t row_bytes() const {
    return format == WeightFormat::int4 ? columns / 2 : columns;
  }
  /// Rows first to first + count - 1.
  constexpr MatrixView slice(std::uint32_t first, std::uint32_t count) const {
    MatrixView part = *this;
    part.weights += std::size_t{first} * row_bytes();
    part.row_scales += first;
    if (block_factors != nullptr) part.block_factors += std::size_t{first} * blocks();
    part.rows = count;
    return part;
  }
};

/// Gains of an RMSNorm in place: real gain = values[i] * 2^exponent.
struct GainsView {
  const std::int16_t* values = nullptr;  // (dim)
  int exponent = 0;
};

}  // namespace mote
