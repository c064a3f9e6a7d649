// SPDX-License-Identifier: Apache-2.0
#include "support/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace mote::host {
namespace {

constexpr std::chrono::milliseconds kFirstDrawAfter{500};
constexpr std::chrono::milliseconds kDrawInterval{100};

}  // namespace

Progress::Progress(std::string label, bool enabled)
    : label_(std::move(label)),
      enabled_(enabled && ::isatty(STDERR_FILENO) != 0),
      next_draw_(Clock::now() + kFirstDrawAfter) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + kDrawInterval;
  drawn_ = true;
  fmt::print(stderr, "\r{}", format_progress(label_, done, total));
  std::fflush(stderr);
}

std::string format_progress(const std::string& label, std::uint64_t done, std::uint64_t total,
                            std::size_t width) {
  const double part =
      total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(part * static_cast<double>(width));
  return fmt::format("{} [{}{}] {:3.0f} %", label, std::string(filled, '#'),
                     std::string(width - filled, '.'), part * 100);
}

}  // namespace mote::host
