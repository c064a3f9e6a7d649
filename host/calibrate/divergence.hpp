// SPDX-License-Identifier: Apache-2.0
// How far a model's distributions are from those of the exact one.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "calibrate/calibration_text.hpp"
#include "calibrate/float_model.hpp"

namespace mote::host {

/// The Kullback-Leibler divergence of a model's next-token distributions from those of `exact`,
/// in nats, mean over the tokens of some passages. Passages are computed side by side; sums are
/// added up in an order that does not depend on how many cores there are.
class DivergenceMeter {
 public:
  /// Both outlive this; `exact` is read once, here.
  DivergenceMeter(const FloatModel& exact, const CalibrationText& text);
  ~DivergenceMeter();

  ///   passages indices into the text, at least one
  double measure(const FloatModel& model, std::span<const std::size_t> passages);
  /// The same, and its gradient by the cells of every matrix.
  double measure(std::vector<FloatMatrix>& gradient, const FloatModel& model,
                 std::span<const std::size_t> passages);

 private:
  struct Slot;

  template <typename Visit>
  void deal(std::size_t count, const Visit& visit);
  void read_passages(const FloatModel& model, std::span<const std::size_t> passages, float weight);
  void read_passage(Slot& slot, const FloatModel& model, std::size_t passage, float weight) const;
  std::size_t count_tokens(std::span<const std::size_t> passages) const;
  double mean(std::span<const std::size_t> passages) const;

  const FloatModel& exact_;
  const CalibrationText& text_;
  std::vector<std::vector<float>> exact_lanes_;  // of each passage: what the exact classifier reads
  std::vector<Slot> slots_;
};

}  // namespace mote::host
