// SPDX-License-Identifier: Apache-2.0
#include "calibrate/tuning.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "calibrate/divergence.hpp"
#include "calibrate/gptq.hpp"
#include "calibrate/packed_matrix.hpp"
#include "convert/quantize.hpp"

namespace mote::host {
namespace {

/// Tokens of one step at the least.
constexpr std::size_t kStepTokens = 1024;
/// One passage in so many is held out.
constexpr std::size_t kHeldOutPeriod = 8;
/// How far a lane moves in a step, in units of its scale, and a block factor, as a share of itself;
/// both fall to nothing in the course of the steps.
constexpr float kInt4LaneRate = 0.003F;
/// An int8 lane has steps of a sixteenth: it is as good as free, and makes up for the int4 lanes.
constexpr float kInt8LaneRate = 0.05F;
constexpr float kFactorRate = 0.0007F;
/// Lanes begin where the exact weights are, but so far from where they would be rounded otherwise.
constexpr float kLaneRoom = 0.42F;
/// How far a block factor may go from where it began.
constexpr float kFactorRange = 1.5F;

/// Directions from gradients, each in units of its own usual size.
class Adam {
 public:
  explicit Adam(std::size_t count) : means_(count), squares_(count) {}

  void begin_step() {
    mean_left_ *= kMeanDecay;
    square_left_ *= kSquareDecay;
  }
  float direction(std::size_t index, float gradient) {
    float& mean = means_[index];
    float& square = squares_[index];
    mean = kMeanDecay * mean + (1 - kMeanDecay) * gradient;
    square = kSquareDecay * square + (1 - kSquareDecay) * gradient * gradient;
    return mean / (1 - mean_left_) / (std::sqrt(square / (1 - square_left_)) + kFloor);
  }

 private:
  static constexpr float kMeanDecay = 0.9F;
  static constexpr float kSquareDecay = 0.99F;
  static constexpr float kFloor = 1e-12F;

  std::vector<float> means_;
  std::vector<float> squares_;
  float mean_left_ = 1;
  float square_left_ = 1;
};

void fill_cells(std::vector<float>& cells, const UnpackedMatrix& numbers) {
  cells.resize(numbers.values.size());
  for (std::size_t at = 0; at < cells.size(); ++at) {
    cells[at] = static_cast<float>(numbers.values[at]) *
                numbers.unit(at / numbers.columns, at % numbers.columns);
  }
}

/// A matrix on its way.
class TunedMatrix {
 public:
  TunedMatrix(UnpackedMatrix numbers, const FloatMatrix& exact)
      : numbers_(std::move(numbers)),
        best_(numbers_),
        first_units_(numbers_.units),
        growths_(numbers_.units.size(), 1.0F),
        lane_adam_(numbers_.values.size()),
        unit_adam_(numbers_.units.size()) {
    lanes_.reserve(exact.cells.size());
    for (std::size_t at = 0; at < exact.cells.size(); ++at) {
      const float unit = numbers_.unit(at / numbers_.columns, at % numbers_.columns);
      const auto value = static_cast<float>(numbers_.values[at]);
      const float wanted = unit > 0 ? exact.cells[at] / unit : value;
      lanes_.push_back(std::clamp(wanted, value - kLaneRoom, value + kLaneRoom));
    }
  }

  const UnpackedMatrix& numbers() const { return numbers_; }
  const UnpackedMatrix& best() const { return best_; }
  void keep() { best_ = numbers_; }

  /// `pace` falls from 1 to 0. // gradient (rows, columns) by the real weights
  void step(const std::vector<float>& gradient, float pace) {
    const bool is_int4 = numbers_.format == WeightFormat::int4;
    const int low = is_int4 ? kInt4Low : -kInt8Top;
    const int high = is_int4 ? kInt4Top : kInt8Top;
    const float rate = pace * (is_int4 ? kInt4LaneRate : kInt8LaneRate);
    std::vector<float> unit_gradients(numbers_.units.size());
    lane_adam_.begin_step();
    unit_adam_.begin_step();
    for (std::size_t at = 0; at < lanes_.size(); ++at) {
      const std::size_t block = numbers_.unit_index(at / numbers_.columns, at % numbers_.columns);
      unit_gradients[block] += gradient[at] * static_cast<float>(numbers_.values[at]);
      const float direction = lane_adam_.direction(at, gradient[at] * numbers_.units[block]);
      lanes_[at] = std::clamp(lanes_[at] - rate * direction, static_cast<float>(low) - 0.5F,
                              static_cast<float>(high) + 0.5F);
      const int value = round_to_range(static_cast<double>(lanes_[at]), low, high);
      numbers_.values[at] = static_cast<std::int8_t>(value);
    }
    if (is_int4) step_units(unit_gradients, pace);
  }

 private:
  void step_units(const std::vector<float>& gradients, float pace) {
    for (std::size_t b = 0; b < gradients.size(); ++b) {
      const float row_unit = numbers_.row_units[b / numbers_.blocks()];
      if (first_units_[b] == 0) continue;
      const float direction = unit_adam_.direction(b, gradients[b] * first_units_[b]);
      growths_[b] =
          std::clamp(growths_[b] - kFactorRate * pace * direction, 1 / kFactorRange, kFactorRange);
      const double wanted = static_cast<double>(first_units_[b] * growths_[b] / row_unit);
      numbers_.units[b] = row_unit * static_cast<float>(round_to_range(wanted, 1, kFactorTop));
    }
  }

  UnpackedMatrix numbers_;
  UnpackedMatrix best_;
  std::vector<float> lanes_;        // (rows, columns) in units, not rounded
  std::vector<float> first_units_;  // (rows, blocks)
  std::vector<float> growths_;      // (rows, blocks) of the units since, not rounded
  Adam lane_adam_;
  Adam unit_adam_;
};

/// Which passages teach and which examine.
struct Division {
  std::vector<std::size_t> taught;
  std::vector<std::size_t> held_out;
};

Division divide(const CalibrationText& text) {
  Division division;
  for (std::size_t i = 0; i < text.passages.size(); ++i) {
    const bool is_held_out = i % kHeldOutPeriod == kHeldOutPeriod - 1;
    (is_held_out ? division.held_out : division.taught).push_back(i);
  }
  if (division.held_out.empty()) division.held_out = division.taught;
  return division;
}

/// Consecutive passages of about as many tokens.
std::vector<std::vector<std::size_t>> make_steps(const CalibrationText& text,
                                                 const std::vector<std::size_t>& passages) {
  std::vector<std::vector<std::size_t>> steps;
  std::size_t tokens = kStepTokens;
  for (const std::size_t passage : passages) {
    if (tokens >= kStepTokens) {
      steps.emplace_back();
      tokens = 0;
    }
    steps.back().push_back(passage);
    tokens += text.passages[passage].size();
  }
  return steps;
}

class Tuner {
 public:
  Tuner(const RoundedMatrices& matrices, const FloatModel& exact,
        const std::vector<PlannedSection>& plan, const CalibrationText& text)
      : student_(exact), meter_(exact, text), division_(divide(text)) {
    set_rounded(student_, matrices, plan);
    for (const PlannedSection& planned : plan) {
      const Section& section = planned.section;
      const auto found = matrices.find({section.kind, section.layer});
      if (found == matrices.end()) continue;
      const std::size_t index = exact.index_of(section.kind, section.layer);
      tuned_.emplace(found->first,
                     TunedMatrix(unpack_matrix(found->second, section), exact.matrix(index)));
    }
    steps_ = make_steps(text, division_.taught);
  }

  TuningReport run(std::uint32_t passes,
                   const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    TuningReport report;
    report.before = report.after = meter_.measure(student_, division_.held_out);
    const std::size_t steps = passes * steps_.size();
    for (std::size_t done = 0; done < steps; ++done) {
      step(steps_[done % steps_.size()], 1 - static_cast<float>(done) / static_cast<float>(steps));
      if (progress) progress(done + 1, steps);
      if ((done + 1) % steps_.size() == 0) examine(report);
    }
    return report;
  }

  void store(RoundedMatrices& matrices) const {
    for (const auto& [name, tuned] : tuned_) store_numbers(matrices.at(name), tuned.best());
  }

 private:
  void step(const std::vector<std::size_t>& passages, float pace) {
    meter_.measure(gradient_, student_, passages);
    std::vector<float> cells;
    for (auto& [name, tuned] : tuned_) {
      const std::size_t index = student_.index_of(name.first, name.second);
      tuned.step(gradient_[index].cells, pace);
      fill_cells(cells, tuned.numbers());
      student_.set_matrix(index, cells);
    }
  }

  void examine(TuningReport& report) {
    const double divergence = meter_.measure(student_, division_.held_out);
    if (!(divergence < report.after)) return;
    report.after = divergence;
    for (auto& [name, tuned] : tuned_) tuned.keep();
  }

  FloatModel student_;
  DivergenceMeter meter_;
  Division division_;
  std::vector<std::vector<std::size_t>> steps_;  // passages of each
  std::map<SectionName, TunedMatrix> tuned_;
  std::vector<FloatMatrix> gradient_;
};

}  // namespace

void set_rounded(FloatModel& model, const RoundedMatrices& matrices,
                 const std::vector<PlannedSection>& plan) {
  std::vector<float> cells;
  for (const PlannedSection& planned : plan) {
    const Section& section = planned.section;
    const auto found = matrices.find({section.kind, section.layer});
    if (found == matrices.end()) continue;
    fill_cells(cells, unpack_matrix(found->second, section));
    model.set_matrix(model.index_of(section.kind, section.layer), cells);
  }
}

TuningReport tune_matrices(RoundedMatrices& matrices, const FloatModel& exact,
                           const std::vector<PlannedSection>& plan, const CalibrationText& text,
                           std::uint32_t passes,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  Tuner tuner(matrices, exact, plan, text);
  const TuningReport report = tuner.run(passes, progress);
  tuner.store(matrices);
  return report;
}

}  // namespace mote::host
