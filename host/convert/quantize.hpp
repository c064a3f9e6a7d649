// SPDX-License-Identifier: Apache-2.0
// One row of float weights to int8 or int4, as the image stores it (SPEC.md, "Matrices").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mote/image.hpp"
#include "mote/scale.hpp"

namespace mote::host {

/// int8 values are symmetric: -128 is never used.
inline constexpr int kInt8Top = 127;
inline constexpr int kInt4Low = -8;
inline constexpr int kInt4Top = 7;
/// The largest block factor; the block with the widest range of a row has it.
inline constexpr int kFactorTop = 255;

/// A row in integers. Real weight i = values[i] * factor * scale.value() * 2^exponent, where factor
/// is factors[i / block] for int4 and 1 for int8.
struct QuantizedRow {
  std::vector<std::int8_t> values;    // (columns), -127..127 or -8..7
  std::vector<std::uint8_t> factors;  // (blocks), int4 only
  Scale16 scale;
};

/// The scale nearest to `value` (>= 0, finite), half up; saturates at the largest.
Scale16 nearest_scale(double value);

/// The unit 2^exponent in which the row scales of a tensor with this largest magnitude (finite)
/// fit a Scale16 and leave small rows as many bits as possible; -128 to 127.
int choose_scale_exponent(double largest_weight, WeightFormat format);

/// Raises `scales` by the power of two that brings the largest into the top octave of Scale16, and
/// returns the exponent lowered by as much. The real scales do not change by a bit.
int normalize_scales(std::span<Scale16> scales, int exponent);

/// Rounds `weights` (finite) to int8. The scale is rounded first, and the weights against the
/// rounded scale, so that |error| <= scale / 2 unless the row is so small (2^-30 of the tensor's
/// largest) that the scale has lost bits. The least squared error of a few scales is taken.
void quantize_row_int8(QuantizedRow& out, std::span<const float> weights, int exponent);

/// Rounds `weights` (finite) to int4 with a factor for each `block` of columns; the last block may
/// be short. Least squared error over a small search of each block's scale.
void quantize_row_int4(QuantizedRow& out, std::span<const float> weights, std::uint32_t block,
                       int exponent);

/// The real weight that lane `index` of `row` stands for.
double dequantize(const QuantizedRow& row, std::size_t index, std::uint32_t block, int exponent);

}  // namespace mote::host
