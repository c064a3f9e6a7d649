// SPDX-License-Identifier: Apache-2.0
// Matrix times vector: int8 or int4 rows with a scale, int8 blocks with a scale each.
#pragma once

#include <cstdint>
#include <span>

#include "mote/matrix.hpp"
#include "mote/scale.hpp"

namespace mote {

/// One int8 vector whose block scales stand ready for the kernel: real lane in block b =
/// values[i] * scales[b] * factor.mantissa * 2^factor.exponent.
struct ActivationView {
  const std::int8_t* values = nullptr;    // (columns), whole blocks, -127 to 127
  const std::uint32_t* scales = nullptr;  // (columns / block), below 2^27
  Multiplier factor;                      // mantissa at most 2^20; common to all blocks
};

/// Brings block scales to one exponent: out[b] = scale b / 2^e, rounded down, below 2^27, where e
/// comes from the largest. Returns the unit of out (e less 28): real scale = out[b] * 2^unit.
///   out (n), scales (n)
int align_scales(std::uint32_t* out, std::span<const Scale16> scales);

/// out[r] = round(row r of `matrix` times `x`, in Q fraction_bits), half up, saturated: the sum
/// over blocks is an exact integer, and is rounded once.
///   out (matrix.rows), x (matrix.columns) in blocks of matrix.block, at most kMaxBlock
/// Width: a row has at most 2^16 columns, and a lane adds at most 128 * 127 * 2^27 < 2^41 (int8) or
/// 8 * 127 * 255 * 2^27 < 2^45 (int4), so that the sum stays below 2^61; the dot product of a block
/// stays below 2^20. A block of scale 0 adds nothing: its weights need not be read, and the
/// reference does not. Exactly one file defines it, that of the kernels the build has chosen
/// (MOTE_KERNELS in src/sources.cmake).
void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits);

namespace ref {

/// The same, and normative: the bits that every form of it must give.
void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits);

/// The same for matrices of int8_pairs alone, for sets of kernels that have no form of their own:
/// few bytes of code, and slow.
void matvec_pairs_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                         int fraction_bits);

}  // namespace ref

/// out[i] = lanes first to first + count - 1 of one row of `matrix`, in Q fraction_bits, rounded
/// half up and saturated. Lanes past the row's columns are zero.
void dequantize_row(std::span<std::int32_t> out, const MatrixView& matrix, std::uint32_t row,
                    std::uint32_t first_lane, int fraction_bits);

}  // namespace mote
