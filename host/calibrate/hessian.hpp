// SPDX-License-Identifier: Apache-2.0
// What calibration remembers of the vectors that went into a matrix: sums of products of lanes.
#pragma once

#include <cstdint>
#include <span>

#include "calibrate/dense_matrix.hpp"

namespace mote::host {

/// Sums over calibration tokens, in the order of `add`, so that the same text gives the same bits.
/// For each token x is the vector as the rounded model has it, `exact` the same of the reference,
/// and `missing` what the matrix's output should add beside its own product with `exact`: the
/// reference's residual stream less the rounded model's.
class InputStatistics {
 public:
  /// `outputs` is 0 where the matrix does not add to the residual stream.
  InputStatistics(std::size_t columns, std::size_t outputs);

  ///   x (tokens, columns), exact (tokens, columns), missing (tokens, outputs), rows in a row
  void add(std::span<const double> x, std::span<const double> exact,
           std::span<const double> missing, std::size_t tokens);

  std::uint64_t tokens() const { return tokens_; }
  std::size_t columns() const { return products_.columns(); }

  /// The mean of x x^T over tokens, and damping * (mean of its diagonal) on the diagonal; the unit
  /// matrix where no lane was ever other than zero. Positive definite for damping > 0.
  DenseMatrix hessian(double damping) const;
  /// The mean of (exact - x) x^T. // (columns, columns)
  DenseMatrix drift() const;
  /// The mean of missing x^T. // (outputs, columns)
  DenseMatrix residual_drift() const;

 private:
  std::uint64_t tokens_ = 0;
  DenseMatrix products_;             // (columns, columns)
  DenseMatrix drift_;                // (columns, columns)
  DenseMatrix residual_drift_;       // (outputs, columns)
  std::vector<double> differences_;  // of one call of `add`
};

}  // namespace mote::host
