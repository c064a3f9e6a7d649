// SPDX-License-Identifier: Apache-2.0
// What the two halves of the product for MVE share: matvec_mve.cpp, three steps over a group of
// rows, and matvec_mve_rows.cpp, row by row.
#pragma once

#include <cstdint>

#include "kernels/matvec.hpp"

namespace mote::mve {

/// Rows of a group, a multiple of 4.
inline constexpr std::uint32_t kRows = 72;

/// The arguments of matvec_s8_s32, and what follows from them.
struct Product {
  std::int32_t* out;
  const MatrixView& m;
  const ActivationView& x;
  int unit;  // exponent of a sum, before the scale of its row
  bool is_int4;
  std::uint32_t blocks;  // of 32 lanes
  std::uint32_t block_bytes;
};

/// Writes rows `row` to `row + rows - 1` of the result.
///   sums (rows) exact, before the scales of the rows
void round_rows(const Product& p, const std::int64_t* sums, std::uint32_t row, std::uint32_t rows);

/// Rows first to last - 1 of the result, of blocks of any size.
void multiply_singly(const Product& p, std::uint32_t first, std::uint32_t last);

}  // namespace mote::mve
