// SPDX-License-Identifier: Apache-2.0
// Which steps of a vector a kernel goes through: those of scale 0 add nothing. For kernels that
// files of several instruction sets have, so that each gets functions of its own.
#pragma once

#include <cstdint>

#include "kernels/matvec.hpp"

namespace mote {
namespace {

/// Runs of lanes from `first[i]` to `end[i]` - 1, whole steps but at the end of the vector, whose
/// steps all have a scale that is not 0; rising. A row has at most 2^16 lanes, and a step at least
/// 32.
struct StepRuns {
  static constexpr std::uint32_t kMost = 1024;

  std::uint32_t count = 0;
  std::uint32_t first[kMost];
  std::uint32_t end[kMost];
};

[[gnu::always_inline]] inline bool has_zero(const std::uint32_t* scales, std::uint32_t count) {
  std::uint32_t zeros = 0;
  for (std::uint32_t i = 0; i < count; ++i) zeros += scales[i] == 0 ? 1 : 0;
  return zeros != 0;
}

[[gnu::always_inline]] inline bool is_zero(const std::uint32_t* scales, std::uint32_t count) {
  std::uint32_t all = 0;
  for (std::uint32_t i = 0; i < count; ++i) all |= scales[i];
  return all == 0;
}

/// Of a vector of `columns` lanes in blocks of `B`, with steps of `Step` lanes, a multiple of B.
template <std::uint32_t B, std::uint32_t Step>
[[gnu::always_inline]] inline void find_runs(StepRuns& runs, const std::uint32_t* scales,
                                             std::uint32_t columns) {
  static_assert(Step % B == 0 && Step >= 32);
  runs.first[0] = 0;
  runs.end[0] = columns;
  runs.count = 1;
  if (!has_zero(scales, columns / B)) return;
  runs.count = 0;
  bool is_inside = false;
  for (std::uint32_t lane = 0; lane < columns; lane += Step) {
    const std::uint32_t left = columns - lane;
    const bool counts = !is_zero(scales + lane / B, (left < Step ? left : Step) / B);
    if (counts && !is_inside) runs.first[runs.count] = lane;
    if (!counts && is_inside) runs.end[runs.count++] = lane;
    is_inside = counts;
  }
  if (is_inside) runs.end[runs.count++] = columns;
}

}  // namespace
}  // namespace mote
