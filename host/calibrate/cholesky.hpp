// SPDX-License-Identifier: Apache-2.0
// The Cholesky factor of a small symmetric matrix, and what calibration does with it.
#pragma once

#include <cstddef>
#include <span>

#include "calibrate/dense_matrix.hpp"

namespace mote::host {

/// The lower triangular L with L L^T = `matrix` (symmetric; its lower half is read). Where a pivot
/// is not positive the matrix is not positive definite: throws std::domain_error.
DenseMatrix cholesky(const DenseMatrix& matrix);

/// Solves L L^T x = b. // x (n) holds b before and x after
void solve_cholesky(std::span<double> x, const DenseMatrix& lower);

/// a . b, summed in the order of the lanes. // both (n)
double dot_product(std::span<const double> a, std::span<const double> b);

}  // namespace mote::host
