// SPDX-License-Identifier: Apache-2.0
#include "calibrate/gptq.hpp"

#include <algorithm>
#include <numeric>

#include "calibrate/cholesky.hpp"

namespace mote::host {

int round_to_range(double value, int low, int high) {
  const double limited = std::clamp(value, static_cast<double>(low), static_cast<double>(high));
  return static_cast<int>(limited < 0 ? limited - 0.5 : limited + 0.5);
}

Feedback make_feedback(const DenseMatrix& hessian) {
  const std::size_t n = hessian.rows();
  Feedback feedback;
  feedback.order.resize(n);
  std::iota(feedback.order.begin(), feedback.order.end(), std::size_t{0});
  std::stable_sort(feedback.order.begin(), feedback.order.end(), [&](std::size_t a, std::size_t b) {
    return hessian.at(a, a) > hessian.at(b, b);
  });
  // Read from the last lane to the first, the lower triangular factor is the upper one.
  DenseMatrix reversed(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      reversed.at(i, j) = hessian.at(feedback.order[n - 1 - i], feedback.order[n - 1 - j]);
    }
  }
  const DenseMatrix lower = cholesky(reversed);
  feedback.shares = DenseMatrix(n, n);
  for (std::size_t p = 0; p < n; ++p) {
    for (std::size_t i = 0; i < p; ++i) {
      feedback.shares.at(p, i) = lower.at(n - 1 - i, n - 1 - p) / lower.at(n - 1 - p, n - 1 - p);
    }
  }
  return feedback;
}

void round_with_feedback(std::span<std::int8_t> values, std::span<const double> target,
                         std::span<const double> units, const Feedback& feedback, int low, int high,
                         std::vector<double>& scratch) {
  scratch.resize(target.size());
  for (std::size_t p = 0; p < target.size(); ++p) {
    const std::size_t lane = feedback.order[p];
    const double wanted =
        target[lane] + dot_product(feedback.shares.row(p).first(p), std::span(scratch).first(p));
    const int value = units[lane] > 0 ? round_to_range(wanted / units[lane], low, high) : 0;
    values[lane] = static_cast<std::int8_t>(value);
    scratch[p] = target[lane] - value * units[lane];
  }
}

double quadratic_form(const DenseMatrix& hessian, std::span<const double> error) {
  double sum = 0;
  for (std::size_t i = 0; i < error.size(); ++i) {
    if (error[i] != 0) sum += error[i] * dot_product(hessian.row(i), error);
  }
  return sum;
}

}  // namespace mote::host
