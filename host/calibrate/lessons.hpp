// SPDX-License-Identifier: Apache-2.0
// Which passages tuning reads at which step.
#pragma once

#include <cstddef>
#include <vector>

#include "calibrate/calibration_text.hpp"
#include "mote/sampler.hpp"

namespace mote::host {

/// Tokens of one step at the least.
inline constexpr std::size_t kStepTokens = 1280;

/// Passages 0 to `given` - 1 of a text were given, the others the model wrote itself. Of the given
/// ones, one in eight is held out to examine what has been learned. The rest is read again and
/// again, a given passage and a written one by turns, each kind in a new order each time.
class Lessons {
 public:
  /// `text` outlives this. Where nothing could be held out, all is taught and examined.
  Lessons(const CalibrationText& text, std::size_t given);

  const std::vector<std::size_t>& held_out() const { return held_out_; }
  /// Passages of the next step, kStepTokens tokens or somewhat more; fewer where there are no more.
  std::vector<std::size_t> next();

 private:
  struct Pile {
    std::vector<std::size_t> passages;
    std::size_t read = 0;
  };
  std::size_t draw(Pile& pile);

  const CalibrationText& text_;
  std::vector<std::size_t> held_out_;
  Pile given_;
  Pile written_;
  bool is_written_turn_ = false;
  Pcg32 random_;
};

}  // namespace mote::host
