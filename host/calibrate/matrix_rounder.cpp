// SPDX-License-Identifier: Apache-2.0
#include "calibrate/matrix_rounder.hpp"

#include <algorithm>
#include <cmath>

#include "calibrate/cholesky.hpp"

namespace mote::host {
namespace {

/// Added to the diagonal of H, as a share of its mean.
constexpr double kDamping = 0.01;

}  // namespace

double ProductError::relative_rms() const {
  return squared_products > 0 ? std::sqrt(squared_error / squared_products) : 0;
}

double ProductError::plain_relative_rms() const {
  return squared_products > 0 ? std::sqrt(plain_error / squared_products) : 0;
}

MatrixRounder::MatrixRounder(const InputStatistics& statistics, std::uint32_t block,
                             WeightFormat format)
    : hessian_(statistics.hessian(kDamping)),
      lower_(cholesky(hessian_)),
      drift_(statistics.drift()),
      residual_drift_(statistics.residual_drift()),
      rounder_(hessian_, block, format) {}

void MatrixRounder::aim(std::vector<double>& target, std::span<const float> weights,
                        std::uint32_t row) const {
  std::vector<double> change(weights.size());
  if (residual_drift_.rows() != 0) {
    const auto missing = residual_drift_.row(row);
    for (std::size_t i = 0; i < change.size(); ++i) change[i] = missing[i];
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto drift = drift_.row(i);
    for (std::size_t j = 0; j < change.size(); ++j)
      change[j] += static_cast<double>(weights[i]) * drift[j];
  }
  solve_cholesky(change, lower_);
  target.assign(weights.begin(), weights.end());
  for (std::size_t i = 0; i < target.size(); ++i) target[i] += change[i];
}

RoundedMatrix MatrixRounder::round(ProductError& error, const TensorSource& source,
                                   const std::function<void()>& row_done) const {
  std::vector<float> weights(source.columns);
  std::vector<double> target;
  double largest = largest_magnitude(source);
  for (std::uint32_t row = 0; row < source.rows; ++row) {
    source.read_row(weights, row);
    aim(target, weights, row);
    for (const double weight : target) largest = std::max(largest, std::fabs(weight));
  }
  const int exponent = choose_scale_exponent(largest, rounder_.format());
  MatrixPacker packer(source.rows, source.columns, rounder_.format(), rounder_.block(), exponent);
  QuantizedRow rounded;
  QuantizedRow plain;
  for (std::uint32_t row = 0; row < source.rows; ++row) {
    source.read_row(weights, row);
    aim(target, weights, row);
    double cost = rounder_.round(rounded, target, exponent);
    if (rounder_.format() == WeightFormat::int4) {
      quantize_row_int4(plain, weights, rounder_.block(), exponent);
    } else {
      quantize_row_int8(plain, weights, exponent);
    }
    const double plain_cost = rounder_.cost(plain, target, exponent);
    if (plain_cost < cost) {
      rounded = plain;
      cost = plain_cost;
    }
    error.squared_error += cost;
    error.plain_error += plain_cost;
    error.squared_products += quadratic_form(hessian_, target);
    packer.add(rounded, weights);
    if (row_done) row_done();
  }
  return {rounder_.format(), packer.finish()};
}

}  // namespace mote::host
