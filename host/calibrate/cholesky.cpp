// SPDX-License-Identifier: Apache-2.0
#include "calibrate/cholesky.hpp"

#include <cmath>
#include <stdexcept>

namespace mote::host {

double dot_product(std::span<const double> a, std::span<const double> b) {
  // Four sums that do not wait for one another; which lane goes to which is fixed.
  double sums[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= a.size(); i += 4) {
    for (std::size_t j = 0; j < 4; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < a.size(); ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

DenseMatrix cholesky(const DenseMatrix& matrix) {
  const std::size_t n = matrix.rows();
  DenseMatrix lower(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const double rest =
          matrix.at(i, j) - dot_product(lower.row(i).first(j), lower.row(j).first(j));
      if (j < i) {
        lower.at(i, j) = rest / lower.at(j, j);
        continue;
      }
      if (!(rest > 0)) throw std::domain_error("the matrix is not positive definite");
      lower.at(i, i) = std::sqrt(rest);
    }
  }
  return lower;
}

void solve_cholesky(std::span<double> x, const DenseMatrix& lower) {
  const std::size_t n = x.size();
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = (x[i] - dot_product(lower.row(i).first(i), x.first(i))) / lower.at(i, i);
  }
  // Rows of L are columns of L^T: each lane is taken out of those before it once it is known.
  for (std::size_t i = n; i-- > 0;) {
    x[i] /= lower.at(i, i);
    for (std::size_t j = 0; j < i; ++j) x[j] -= lower.at(i, j) * x[i];
  }
}

}  // namespace mote::host
