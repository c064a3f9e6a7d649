// SPDX-License-Identifier: Apache-2.0
// A whole matrix rounded against the vectors that it met.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "calibrate/hessian.hpp"
#include "calibrate/row_rounder.hpp"
#include "convert/convert.hpp"
#include "convert/matrix_section.hpp"

namespace mote::host {

/// What rounding a matrix did to its products with the calibration vectors.
struct ProductError {
  double squared_error = 0;     // mean over tokens, summed over rows
  double plain_error = 0;       // the same of plain rounding
  double squared_products = 0;  // the same of the products themselves

  /// sqrt(squared_error / squared_products); 0 where all products are zero.
  double relative_rms() const;
  double plain_relative_rms() const;
};

/// Rounds the matrices that read one vector. What is aimed at is not the product with the rounded
/// model's vector x but with the reference's x': rows w become w + (w E[(x' - x) x^T] + r) H^-1,
/// the least-squares answer, r being what the residual stream misses; and those are rounded against
/// H = E[x x^T].
class MatrixRounder {
 public:
  MatrixRounder(const InputStatistics& statistics, std::uint32_t block, WeightFormat format);

  /// Throws `Error` that names the tensor where a weight is not finite.
  RoundedMatrix round(ProductError& error, const TensorSource& source,
                      const std::function<void()>& row_done = {}) const;

 private:
  /// The row to round, from the checkpoint's.
  void aim(std::vector<double>& target, std::span<const float> weights, std::uint32_t row) const;

  DenseMatrix hessian_;
  DenseMatrix lower_;  // its Cholesky factor
  DenseMatrix drift_;
  DenseMatrix residual_drift_;
  RowRounder rounder_;
};

}  // namespace mote::host
