// SPDX-License-Identifier: Apache-2.0
#include "calibrate/tuned_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "calibrate/gptq.hpp"
#include "convert/quantize.hpp"

namespace mote::host {
namespace {

/// How far a lane moves in a step at full rate, in units of its scale, and a block factor, as a
/// share of itself.
constexpr float kInt4LaneRate = 0.003F;
/// An int8 lane has steps of a sixteenth: it is as good as free, and makes up for the int4 lanes.
constexpr float kInt8LaneRate = 0.1F;
constexpr float kFactorRate = 0.002F;
/// How far from its rounded value a lane may begin. Nearer than 1, many would begin between two
/// values, of which error-compensated rounding took the one that is further off.
constexpr float kLaneRoom = 1.0F;
/// How far a block factor may go from where it began.
constexpr float kFactorRange = 1.5F;
/// Weight of the last step in a lane's mean value and in how often it changes.
constexpr float kForget = 0.02F;

constexpr float kMeanDecay = 0.9F;
constexpr float kSquareDecay = 0.99F;
constexpr float kLeastDirection = 1e-12F;

}  // namespace

void TunedMatrix::Adam::begin_step() {
  mean_left_ *= kMeanDecay;
  square_left_ *= kSquareDecay;
  mean_growth_ = 1 / (1 - mean_left_);
  square_growth_ = 1 / (1 - square_left_);
}

float TunedMatrix::Adam::direction(std::size_t index, float gradient) {
  float& mean = means_[index];
  float& square = squares_[index];
  mean = kMeanDecay * mean + (1 - kMeanDecay) * gradient;
  square = kSquareDecay * square + (1 - kSquareDecay) * gradient * gradient;
  return mean * mean_growth_ / (std::sqrt(square * square_growth_) + kLeastDirection);
}

TunedMatrix::TunedMatrix(UnpackedMatrix numbers, const FloatMatrix& exact)
    : numbers_(std::move(numbers)),
      best_(numbers_),
      first_units_(numbers_.units),
      growths_(numbers_.units.size(), 1.0F),
      lane_adam_(numbers_.values.size()),
      unit_adam_(numbers_.units.size()),
      low_(numbers_.format == WeightFormat::int4 ? kInt4Low : -kInt8Top),
      high_(numbers_.format == WeightFormat::int4 ? kInt4Top : kInt8Top) {
  lanes_.reserve(exact.cells.size());
  for (std::size_t at = 0; at < exact.cells.size(); ++at) {
    const float unit = numbers_.unit(at / numbers_.columns, at % numbers_.columns);
    const auto value = static_cast<float>(numbers_.values[at]);
    const float wanted = unit > 0 ? exact.cells[at] / unit : value;
    lanes_.push_back(std::clamp(wanted, value - kLaneRoom, value + kLaneRoom));
  }
  if (numbers_.format != WeightFormat::int4) return;
  changes_.resize(lanes_.size());
  held_.resize(lanes_.size());
  means_.assign(numbers_.values.begin(), numbers_.values.end());
}

std::size_t TunedMatrix::held() const {
  return static_cast<std::size_t>(std::count(held_.begin(), held_.end(), true));
}

void TunedMatrix::step(const std::vector<float>& gradient, const TuningPace& pace) {
  lane_adam_.begin_step();
  unit_adam_.begin_step();
  const std::size_t blocks = numbers_.blocks();
  for (std::size_t row = 0; row < numbers_.rows; ++row) {
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::size_t column = b * numbers_.block;
      const std::size_t count = std::min<std::size_t>(numbers_.block, numbers_.columns - column);
      const std::size_t first = row * numbers_.columns + column;
      const std::size_t block = row * blocks + b;
      const float slope =
          step_block(first, count, numbers_.units[block], gradient.data() + first, pace);
      if (numbers_.format == WeightFormat::int4) step_factor(block, slope, pace);
    }
  }
}

/// Moves the lanes of a block; returns the gradient by its unit.
float TunedMatrix::step_block(std::size_t first, std::size_t count, float unit,
                              const float* gradient, const TuningPace& pace) {
  const bool is_int4 = numbers_.format == WeightFormat::int4;
  const float rate = pace.rate * (is_int4 ? kInt4LaneRate : kInt8LaneRate);
  const float lowest = static_cast<float>(low_) - 0.5F;
  const float highest = static_cast<float>(high_) + 0.5F;
  float slope = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = first + i;
    slope += gradient[i] * static_cast<float>(numbers_.values[at]);
    const float direction = lane_adam_.direction(at, gradient[i] * unit);
    if (is_int4 && held_[at]) continue;
    lanes_[at] = std::clamp(lanes_[at] - rate * direction, lowest, highest);
    const auto value =
        static_cast<std::int8_t>(round_to_range(static_cast<double>(lanes_[at]), low_, high_));
    if (is_int4) watch_lane(at, value, pace.patience);
    if (!is_int4 || !held_[at]) numbers_.values[at] = value;
  }
  return slope;
}

/// Counts a lane's changes, and holds it where they are too many.
void TunedMatrix::watch_lane(std::size_t at, std::int8_t value, float patience) {
  const float changed = value != numbers_.values[at] ? 1.0F : 0.0F;
  changes_[at] += kForget * (changed - changes_[at]);
  means_[at] += kForget * (static_cast<float>(value) - means_[at]);
  if (!(changes_[at] > patience)) return;
  held_[at] = true;
  numbers_.values[at] =
      static_cast<std::int8_t>(round_to_range(static_cast<double>(means_[at]), low_, high_));
}

/// The unit of a block by its gradient: a whole number of the row's units.
void TunedMatrix::step_factor(std::size_t block, float gradient, const TuningPace& pace) {
  const float row_unit = numbers_.row_units[block / numbers_.blocks()];
  if (first_units_[block] == 0) return;
  const float direction = unit_adam_.direction(block, gradient * first_units_[block]);
  growths_[block] = std::clamp(growths_[block] - kFactorRate * pace.rate * direction,
                               1 / kFactorRange, kFactorRange);
  const double wanted = static_cast<double>(first_units_[block] * growths_[block] / row_unit);
  numbers_.units[block] = row_unit * static_cast<float>(round_to_range(wanted, 1, kFactorTop));
}

}  // namespace mote::host
