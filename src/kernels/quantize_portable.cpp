// SPDX-License-Identifier: Apache-2.0
// The loops of quantisation in plain C++.
#include <algorithm>

#include "base/platform.hpp"
#include "kernels/quantize_steps.hpp"

namespace mote {
namespace {

/// As largest_by_both_ends, by one comparison a lane: -m comes right before m.
std::uint64_t largest_in_order(std::span<const std::int32_t> in) {
  std::uint32_t last = 0;
  for (const std::int32_t lane : in) {
    const std::uint32_t order =
        (static_cast<std::uint32_t>(lane) << 1) ^ static_cast<std::uint32_t>(lane >> 31);
    last = std::max(last, order);
  }
  return (last >> 1) + (last & 1);
}

/// As `narrow`, in fewer steps where registers have 64 bits.
std::int32_t narrow_wide(std::int64_t lane, int drop) {
  if constexpr (!kHasWideRegisters) return narrow(lane, drop);
  return static_cast<std::int32_t>(((lane >> (drop - 1)) + 1) >> 1);
}

std::int32_t narrow_wide(std::int32_t lane, int drop) {
  return narrow(lane, drop);
}

template <typename Lane>
void round_all(std::int8_t* out, std::span<const Lane> in, int drop, std::int32_t ratio,
               int shift) {
  if (drop == 0) {
    for (const Lane lane : in) *out++ = round_narrow(static_cast<std::int32_t>(lane), ratio, shift);
  } else {
    for (const Lane lane : in) *out++ = round_narrow(narrow_wide(lane, drop), ratio, shift);
  }
}

}  // namespace

std::uint64_t largest_magnitude(std::span<const std::int32_t> in) {
  if constexpr (kHasWideRegisters) return largest_by_both_ends(in);
  return largest_in_order(in);
}

std::uint64_t largest_magnitude(std::span<const std::int64_t> in) {
  return largest_by_both_ends(in);
}

void round_lanes(std::int8_t* out, std::span<const std::int32_t> in, int drop, std::int32_t ratio,
                 int shift) {
  round_all(out, in, drop, ratio, shift);
}

void round_lanes(std::int8_t* out, std::span<const std::int64_t> in, int drop, std::int32_t ratio,
                 int shift) {
  round_all(out, in, drop, ratio, shift);
}

}  // namespace mote
