// SPDX-License-Identifier: Apache-2.0
// The bytes of weight, gain and bias sections, made from the rows of a checkpoint (SPEC.md,
// "Matrices", "Gains and frequencies", "Biases").
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "convert/quantize.hpp"
#include "mote/image.hpp"

namespace mote::host {

/// A tensor that is asked for row by row, more than once.
struct TensorSource {
  std::string label;  // for messages
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  /// Fills `out` (columns) with row `row`.
  std::function<void(std::span<float> out, std::uint32_t row)> read_row;
};

/// What rounding did, over all rows.
struct RoundingError {
  double squared_error = 0;
  double squared_weights = 0;
  double largest_error = 0;

  void add(double weight, double rounded);
  void add(const RoundingError& other);
  /// sqrt(squared_error / squared_weights); 0 where all weights are zero.
  double relative_rms() const;
};

struct EncodedTensor {
  std::vector<std::uint8_t> bytes;  // of the section
  int exponent = 0;
  RoundingError error;
};

/// Packs the values of one row as the image has them.
///   out (bytes of a row in whole blocks), values (columns)
void pack_row(std::span<std::uint8_t> out, std::span<const std::int8_t> values, WeightFormat format,
              std::uint32_t block);

/// Takes the rounded rows of a matrix in order and keeps them at their places in its section.
class MatrixPacker {
 public:
  /// `exponent` is the unit of the rows' scales.
  MatrixPacker(std::uint32_t rows, std::uint32_t columns, WeightFormat format, std::uint32_t block,
               int exponent);

  /// `weights` (columns) are those that `row` stands for; the error counts against them.
  void add(const QuantizedRow& row, std::span<const float> weights);
  /// Call after the last row.
  EncodedTensor finish();

 private:
  void store(const QuantizedRow& row);

  MatrixLayout layout_;
  std::uint32_t blocks_;  // in a row
  std::uint32_t block_;
  WeightFormat format_;
  int exponent_;
  std::vector<Scale16> scales_;  // of the rows so far, in units of 2^exponent_
  EncodedTensor result_;
};

/// The largest magnitude of a tensor. Throws `Error` that names the tensor and the row where a
/// weight is not finite.
float largest_magnitude(const TensorSource& source);

/// Rounds a matrix to `format` in blocks of `block` lanes; `row_done` is called after each row.
/// Throws `Error` that names the tensor and the row where a weight is not finite.
EncodedTensor encode_matrix(const TensorSource& source, WeightFormat format, std::uint32_t block,
                            const std::function<void()>& row_done = {});

/// Rounds a single row of gains to i16 with an exponent that puts the largest in [2^14, 2^15).
EncodedTensor encode_gains(const TensorSource& source);

/// Rounds a single row of biases to i32 in units of 2^-fraction_bits. Throws `Error` that names the
/// tensor where one is not finite, or too large for that.
EncodedTensor encode_biases(const TensorSource& source, int fraction_bits);

}  // namespace mote::host
