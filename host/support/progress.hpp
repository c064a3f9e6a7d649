// SPDX-License-Identifier: Apache-2.0
// A progress bar for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mote::host {

/// Draws on standard error, and only where that is a terminal and the work has already taken a
/// while. The line is erased when the object goes.
class Progress {
 public:
  /// `label` stands before the bar. Draws nothing where `enabled` is false.
  explicit Progress(std::string label, bool enabled = true);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Cheap enough to call often; most calls draw nothing.
  void update(std::uint64_t done, std::uint64_t total);

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point next_draw_;
};

/// "convert [#####.....] 50 %", `width` characters between the brackets.
std::string format_progress(const std::string& label, std::uint64_t done, std::uint64_t total,
                            std::size_t width = 32);

}  // namespace mote::host
