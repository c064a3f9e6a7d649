// SPDX-License-Identifier: Apache-2.0
#include "calibrate/row_rounder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "calibrate/cholesky.hpp"
#include "calibrate/scale_search.hpp"

namespace mote::host {
namespace {

/// Walks over a row end when one gains less than this share of the cost, and after so many at the
/// latest.
constexpr double kLeastGain = 1e-3;
constexpr int kBlockWalks = 6;
constexpr int kLaneWalks = 30;
/// Factors that are tried for a block: up to so many steps of this share away, beside the
/// neighbours.
constexpr int kFactorSteps = 7;
constexpr double kFactorStep = 0.03;
/// Room for a block's factor to grow beyond the row's largest.
constexpr double kFactorRoom = 1.15;

double real_scale(Scale16 scale, int exponent) {
  return std::ldexp(static_cast<double>(scale.value()), exponent);
}

DenseMatrix part_of(const DenseMatrix& matrix, std::size_t first, std::size_t count) {
  DenseMatrix part(count, count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) part.at(i, j) = matrix.at(first + i, first + j);
  }
  return part;
}

std::set<int> factors_near(int factor) {
  std::set<int> near = {factor, std::min(factor + 1, kFactorTop), std::max(factor - 1, 1)};
  for (int step = -kFactorSteps; step <= kFactorSteps; ++step) {
    near.insert(round_to_range(factor * (1 + kFactorStep * step), 1, kFactorTop));
  }
  near.erase(0);
  return near;
}

}  // namespace

RowRounder::RowRounder(DenseMatrix hessian, std::uint32_t block, WeightFormat format)
    : hessian_(std::move(hessian)),
      block_(block),
      format_(format),
      low_(format == WeightFormat::int4 ? kInt4Low : -kInt8Top),
      high_(format == WeightFormat::int4 ? kInt4Top : kInt8Top),
      feedback_(make_feedback(hessian_)) {
  if (format_ != WeightFormat::int4) return;
  const std::size_t columns = hessian_.rows();
  for (std::size_t first = 0; first < columns; first += block_) {
    Block part;
    part.first = first;
    part.lanes = std::min<std::size_t>(block_, columns - first);
    part.hessian = part_of(hessian_, first, part.lanes);
    part.lower = cholesky(part.hessian);
    part.feedback = make_feedback(part.hessian);
    blocks_.push_back(std::move(part));
  }
}

double RowRounder::round(QuantizedRow& out, std::span<const double> target, int exponent) const {
  Draft draft;
  draft.target = target;
  draft.values.resize(target.size());
  choose_scales(draft, out.scale, exponent);
  set_lane_units(draft);
  round_with_feedback(draft.values, target, draft.lane_units, feedback_, low_, high_,
                      draft.scratch);
  measure(draft);
  double before = cost(draft);
  for (int walk = 0; walk < kBlockWalks; ++walk) {
    improve_blocks(draft);
    for (int lanes = 0; lanes < kLaneWalks && improve_lanes(draft); ++lanes) {
    }
    fit_scale(draft, out.scale, exponent);
    const double after = cost(draft);
    if (!(after < before * (1 - kLeastGain))) break;
    before = after;
  }
  for (int lanes = 0; lanes < kLaneWalks && improve_lanes(draft); ++lanes) {
  }
  out.values = draft.values;
  out.factors.clear();
  if (format_ == WeightFormat::int4) out.factors.assign(draft.factors.begin(), draft.factors.end());
  return take_plain_if_better(out, cost(draft), target, exponent);
}

double RowRounder::take_plain_if_better(QuantizedRow& out, double found,
                                        std::span<const double> target, int exponent) const {
  const std::vector<float> weights(target.begin(), target.end());
  QuantizedRow plain;
  if (format_ == WeightFormat::int4) {
    quantize_row_int4(plain, weights, block_, exponent);
  } else {
    quantize_row_int8(plain, weights, exponent);
  }
  const double plain_cost = cost(plain, target, exponent);
  if (!(plain_cost < found)) return found;
  out = plain;
  return plain_cost;
}

double RowRounder::cost(const QuantizedRow& row, std::span<const double> target,
                        int exponent) const {
  std::vector<double> error(target.begin(), target.end());
  for (std::size_t i = 0; i < error.size(); ++i) error[i] -= dequantize(row, i, block_, exponent);
  return quadratic_form(hessian_, error);
}

/// Scales that suit the lanes with the diagonal of H as their weights.
void RowRounder::choose_scales(Draft& draft, Scale16& scale, int exponent) const {
  std::vector<double> importance(hessian_.rows());
  for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = hessian_.at(i, i);
  if (format_ != WeightFormat::int4) {
    scale = search_int8_scale(draft.target, importance, exponent);
    draft.unit = real_scale(scale, exponent);
    return;
  }
  std::vector<double> wanted;
  for (const Block& part : blocks_) {
    wanted.push_back(search_int4_scale(draft.target.subspan(part.first, part.lanes),
                                       std::span(importance).subspan(part.first, part.lanes)));
  }
  const double widest = *std::max_element(wanted.begin(), wanted.end());
  scale = nearest_scale(std::ldexp(widest * kFactorRoom / kFactorTop, -exponent));
  draft.unit = real_scale(scale, exponent);
  for (const double block_scale : wanted) {
    draft.factors.push_back(draft.unit > 0 ? round_to_range(block_scale / draft.unit, 0, kFactorTop)
                                           : 0);
  }
}

void RowRounder::set_lane_units(Draft& draft) const {
  draft.lane_units.assign(draft.target.size(), draft.unit);
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    std::fill_n(draft.lane_units.begin() + static_cast<std::ptrdiff_t>(blocks_[b].first),
                blocks_[b].lanes, draft.factors[b] * draft.unit);
  }
}

void RowRounder::measure(Draft& draft) const {
  const std::size_t columns = draft.target.size();
  draft.error.resize(columns);
  draft.pull.resize(columns);
  for (std::size_t i = 0; i < columns; ++i) {
    draft.error[i] = draft.target[i] - draft.values[i] * draft.lane_units[i];
  }
  for (std::size_t i = 0; i < columns; ++i) {
    draft.pull[i] = dot_product(hessian_.row(i), draft.error);
  }
}

double RowRounder::cost(const Draft& draft) const {
  return dot_product(draft.error, draft.pull);
}

/// The rounded lane grows by `step`.
void RowRounder::move_lane(Draft& draft, std::size_t lane, double step) const {
  draft.error[lane] -= step;
  const auto row = hessian_.row(lane);
  for (std::size_t i = 0; i < row.size(); ++i) draft.pull[i] -= step * row[i];
}

void RowRounder::improve_blocks(Draft& draft) const {
  for (std::size_t b = 0; b < blocks_.size(); ++b) improve_block(draft, b);
}

/// With the other blocks as they are, the row's cost is that of this block against the lanes that
/// would cost nothing more: its own, moved by H_bb^-1 pull.
void RowRounder::improve_block(Draft& draft, std::size_t index) const {
  if (draft.unit == 0) return;
  const Block& part = blocks_[index];
  const std::size_t n = part.lanes;
  std::vector<double> wanted(draft.pull.begin() + static_cast<std::ptrdiff_t>(part.first),
                             draft.pull.begin() + static_cast<std::ptrdiff_t>(part.first + n));
  solve_cholesky(wanted, part.lower);
  std::vector<double> left = wanted;
  for (std::size_t i = 0; i < n; ++i) {
    wanted[i] += draft.target[part.first + i] - draft.error[part.first + i];
  }
  double least = quadratic_form(part.hessian, left) * (1 - 1e-9);
  int best_factor = -1;
  std::vector<std::int8_t> best(n);
  std::vector<std::int8_t> values(n);
  std::vector<double> units(n);
  for (const int factor : factors_near(draft.factors[index])) {
    std::fill(units.begin(), units.end(), factor * draft.unit);
    round_with_feedback(values, wanted, units, part.feedback, low_, high_, draft.scratch);
    for (std::size_t i = 0; i < n; ++i) left[i] = wanted[i] - values[i] * units[i];
    const double found = quadratic_form(part.hessian, left);
    if (!(found < least)) continue;
    least = found;
    best_factor = factor;
    best = values;
  }
  if (best_factor < 0) return;
  draft.factors[index] = best_factor;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t lane = part.first + i;
    const double step =
        best[i] * best_factor * draft.unit - (draft.target[lane] - draft.error[lane]);
    draft.values[lane] = best[i];
    draft.lane_units[lane] = best_factor * draft.unit;
    if (step != 0) move_lane(draft, lane, step);
  }
}

/// One walk; whether anything moved.
bool RowRounder::improve_lanes(Draft& draft) const {
  bool moved = false;
  for (std::size_t i = 0; i < draft.target.size(); ++i) {
    const double unit = draft.lane_units[i];
    if (unit == 0) continue;
    const double curve = hessian_.at(i, i);
    const double wanted = draft.values[i] + draft.pull[i] / (curve * unit);
    const int value = round_to_range(wanted, low_, high_);
    if (value == draft.values[i]) continue;
    const double step = (value - draft.values[i]) * unit;
    // -2 step pull + step^2 H_ii: nothing moves for rounding's sake.
    if (!(step * (step * curve - 2 * draft.pull[i]) < 0)) continue;
    draft.values[i] = static_cast<std::int8_t>(value);
    move_lane(draft, i, step);
    moved = true;
  }
  return moved;
}

/// The row's scale that fits its integers best; whether it changed.
bool RowRounder::fit_scale(Draft& draft, Scale16& scale, int exponent) const {
  if (draft.unit == 0) return false;
  std::vector<double> rounded(draft.target.size());
  for (std::size_t i = 0; i < rounded.size(); ++i) rounded[i] = draft.target[i] - draft.error[i];
  const double square = quadratic_form(hessian_, rounded);
  if (!(square > 0)) return false;
  // d cost / d growth = -2 rounded . pull + 2 growth * square
  const double growth = 1 + dot_product(rounded, draft.pull) / square;
  const Scale16 fitted = nearest_scale(std::ldexp(draft.unit * growth, -exponent));
  if (!(growth > 0) || fitted == scale || fitted.value() == 0) return false;
  Draft next = draft;
  next.unit = real_scale(fitted, exponent);
  set_lane_units(next);
  measure(next);
  if (!(cost(next) < cost(draft))) return false;
  draft = std::move(next);
  scale = fitted;
  return true;
}

}  // namespace mote::host
