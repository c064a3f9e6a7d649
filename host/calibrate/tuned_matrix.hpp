// SPDX-License-Identifier: Apache-2.0
// One matrix on its way through tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "calibrate/float_model.hpp"
#include "calibrate/packed_matrix.hpp"

namespace mote::host {

/// How a step moves numbers.
struct TuningPace {
  float rate = 1;      // of the full step sizes, 1 at the beginning and 0 at the end
  float patience = 1;  // int4 lanes that change at more than this share of the steps are held
};

/// The integers and scales of a matrix, moved by gradients. Each lane is a number in units of its
/// scale that counts as what it rounds to; rounding is taken for the identity on the way back
/// (Bengio, Leonard and Courville, 2013). Steps are in units of the gradient's own usual size
/// (Adam; Kingma and Ba, 2015). Block factors of int4 move likewise.
///
/// An int4 lane that lies near the middle between two values is drawn back over it at every step,
/// and each time disturbs what all others have learned. Once it changes too often it is held for
/// good at the value that it had more often (Nagel et al., "Overcoming Oscillations in
/// Quantization-Aware Training", 2022).
class TunedMatrix {
 public:
  /// Lanes begin at `exact`, but within a step of what `numbers` has for them.
  TunedMatrix(UnpackedMatrix numbers, const FloatMatrix& exact);

  /// One step down the gradient by the real weights. // gradient (rows, columns)
  void step(const std::vector<float>& gradient, const TuningPace& pace);

  const UnpackedMatrix& numbers() const { return numbers_; }
  /// Lanes that move no more.
  std::size_t held() const;

  /// What `best` gives from here on.
  void keep() { best_ = numbers_; }
  const UnpackedMatrix& best() const { return best_; }

 private:
  /// Directions from gradients.
  class Adam {
   public:
    explicit Adam(std::size_t count) : means_(count), squares_(count) {}
    void begin_step();
    float direction(std::size_t index, float gradient);

   private:
    std::vector<float> means_;
    std::vector<float> squares_;
    float mean_left_ = 1;
    float square_left_ = 1;
    float mean_growth_ = 1;
    float square_growth_ = 1;
  };

  float step_block(std::size_t first, std::size_t count, float unit, const float* gradient,
                   const TuningPace& pace);
  void watch_lane(std::size_t at, std::int8_t value, float patience);
  void step_factor(std::size_t block, float gradient, const TuningPace& pace);

  UnpackedMatrix numbers_;
  UnpackedMatrix best_;
  std::vector<float> lanes_;    // (rows, columns) in units, not rounded
  std::vector<float> changes_;  // (rows, columns) of each value, a step; int4 only, as the next two
  std::vector<float> means_;    // (rows, columns) of the values of the last steps
  std::vector<bool> held_;      // (rows, columns)
  std::vector<float> first_units_;  // (rows, blocks)
  std::vector<float> growths_;      // (rows, blocks) of the units since, not rounded
  Adam lane_adam_;
  Adam unit_adam_;
  int low_;
  int high_;
};

}  // namespace mote::host
