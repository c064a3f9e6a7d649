// SPDX-License-Identifier: Apache-2.0
#include "calibrate/hessian.hpp"

#include <algorithm>

namespace mote::host {
namespace {

/// Tokens that share one walk over the sums.
constexpr std::size_t kTokensPerWalk = 4;

/// sums[i][j] += sum over tokens of a[i] * b[j].
///   a (tokens, sums.rows), b (tokens, sums.columns)
void add_products(DenseMatrix& sums, const double* a, const double* b, std::size_t tokens) {
  const std::size_t rows = sums.rows();
  const std::size_t columns = sums.columns();
  std::size_t t = 0;
  for (; t + kTokensPerWalk <= tokens; t += kTokensPerWalk) {
    const double* b0 = b + t * columns;
    const double* b1 = b0 + columns;
    const double* b2 = b1 + columns;
    const double* b3 = b2 + columns;
    for (std::size_t i = 0; i < rows; ++i) {
      const double a0 = a[t * rows + i];
      const double a1 = a[(t + 1) * rows + i];
      const double a2 = a[(t + 2) * rows + i];
      const double a3 = a[(t + 3) * rows + i];
      double* out = sums.row(i).data();
      for (std::size_t j = 0; j < columns; ++j) {
        out[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j]);
      }
    }
  }
  for (; t < tokens; ++t) {
    for (std::size_t i = 0; i < rows; ++i) {
      double* out = sums.row(i).data();
      for (std::size_t j = 0; j < columns; ++j) out[j] += a[t * rows + i] * b[t * columns + j];
    }
  }
}

DenseMatrix mean_of(const DenseMatrix& sums, std::uint64_t tokens) {
  DenseMatrix mean = sums;
  if (tokens == 0) return mean;
  for (std::size_t i = 0; i < mean.rows(); ++i) {
    for (double& cell : mean.row(i)) cell /= static_cast<double>(tokens);
  }
  return mean;
}

}  // namespace

InputStatistics::InputStatistics(std::size_t columns, std::size_t outputs)
    : products_(columns, columns), drift_(columns, columns), residual_drift_(outputs, columns) {}

void InputStatistics::add(std::span<const double> x, std::span<const double> exact,
                          std::span<const double> missing, std::size_t tokens) {
  add_products(products_, x.data(), x.data(), tokens);
  differences_.resize(x.size());
  std::transform(exact.begin(), exact.end(), x.begin(), differences_.begin(),
                 [](double reference, double rounded) { return reference - rounded; });
  add_products(drift_, differences_.data(), x.data(), tokens);
  if (residual_drift_.rows() != 0) add_products(residual_drift_, missing.data(), x.data(), tokens);
  tokens_ += tokens;
}

DenseMatrix InputStatistics::hessian(double damping) const {
  DenseMatrix mean = mean_of(products_, tokens_);
  double trace = 0;
  for (std::size_t i = 0; i < mean.rows(); ++i) trace += mean.at(i, i);
  const double share = trace > 0 ? damping * trace / static_cast<double>(mean.rows()) : 1;
  for (std::size_t i = 0; i < mean.rows(); ++i) mean.at(i, i) += share;
  return mean;
}

DenseMatrix InputStatistics::drift() const {
  return mean_of(drift_, tokens_);
}

DenseMatrix InputStatistics::residual_drift() const {
  return mean_of(residual_drift_, tokens_);
}

}  // namespace mote::host
