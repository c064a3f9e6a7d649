// SPDX-License-Identifier: Apache-2.0
#include "calibrate/scale_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/gptq.hpp"
#include "convert/quantize.hpp"

namespace mote::host {
namespace {

/// Parts of the scale that just covers a block, from steps above it to far below.
constexpr int kFirstStep = -4;
constexpr int kLastStep = 20;
constexpr double kStep = 0.025;
constexpr int kInt8FirstTop = 112;

double weighted_error(std::span<const double> weights, std::span<const double> importance,
                      double unit, int low, int high) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double error = weights[i] - unit * round_to_range(weights[i] / unit, low, high);
    sum += importance[i] * error * error;
  }
  return sum;
}

}  // namespace

double search_int4_scale(std::span<const double> weights, std::span<const double> importance) {
  double covering = 0;
  for (const double weight : weights) {
    covering = std::max({covering, weight / kInt4Top, weight / kInt4Low});
  }
  double best = 0;
  double least = std::numeric_limits<double>::infinity();
  if (covering == 0) return 0;
  for (int step = kFirstStep; step <= kLastStep; ++step) {
    const double unit = covering * (1 - kStep * step);
    const double error = weighted_error(weights, importance, unit, kInt4Low, kInt4Top);
    if (!(error < least)) continue;
    least = error;
    best = unit;
  }
  return best;
}

Scale16 search_int8_scale(std::span<const double> weights, std::span<const double> importance,
                          int exponent) {
  double largest = 0;
  for (const double weight : weights) largest = std::max(largest, std::fabs(weight));
  Scale16 best;
  double least = std::numeric_limits<double>::infinity();
  for (int top = kInt8Top; top >= kInt8FirstTop; --top) {
    const Scale16 scale = nearest_scale(std::ldexp(largest / top, -exponent));
    if (scale.value() == 0) continue;
    const double unit = std::ldexp(static_cast<double>(scale.value()), exponent);
    const double error = weighted_error(weights, importance, unit, -kInt8Top, kInt8Top);
    if (!(error < least)) continue;
    least = error;
    best = scale;
  }
  return best;
}

}  // namespace mote::host
