// SPDX-License-Identifier: Apache-2.0
// What the forms of attention for x86-64 share: one head on its way through the steps, and the
// numbers of bits in which they compute.
#pragma once

#include <cstdint>
#include <span>

#include "attention/attend.hpp"
#include "kernels/exp2.hpp"
#include "kernels/isa_rounding.hpp"

namespace mote::x86 {

inline constexpr int kContributionBits = 20;  // as attend_steps.hpp has it
/// Bits of a weight times a mantissa that do not fit 32.
inline constexpr int kProductDrop = 5;
/// A product without its lowest bits may be 0 where the product is not. Its width is then at most
/// this, and that of all positions certain only if it is larger.
inline constexpr int kWidestOfDropped = kProductDrop + 30;
/// Positions whose numbers need no memory of the caller.
inline constexpr std::uint32_t kOwnPositions = 4096;

/// One head of several, and where its numbers are kept.
struct Head {
  WideVector* out;
  std::span<const KvSegment> segments;
  std::span<const QuantizedVector> queries;
  std::uint32_t* numbers;
};

/// What turns a dot product times its key's scale into a score in Q16.
[[gnu::always_inline]] inline Multiplier score_factor(const Scale16& scale,
                                                      const Multiplier& score_scale) {
  return isa::multiply_scale(scale, score_scale, kScoreFractionBits - 2 * kScaleFractionBits);
}

}  // namespace mote::x86
