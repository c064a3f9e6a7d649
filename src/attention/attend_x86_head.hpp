// SPDX-License-Identifier: Apache-2.0
// What the forms of attention for x86-64 share: one head on its way through the steps, and the
// numbers of bits in which they compute.
#pragma once

#include <immintrin.h>

#include <cstddef>
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

/// Asks for what is read some time after the scores of `kStep` positions from `t` on: the keys of
/// later ones, and the values, which wait for all scores. Where heads are long, keys, values and
/// weights of all layers are more than the second cache holds.
template <std::size_t kStep>
[[gnu::always_inline]] inline void fetch_step(const KvSegment& segment, std::size_t t,
                                              std::size_t head_size) {
  constexpr std::size_t kAhead = 64;  // positions; 32 to 128 are as good by measurement
  constexpr std::size_t kLine = 64;
  const auto keys = reinterpret_cast<std::uintptr_t>(segment.keys) + (t + kAhead) * head_size;
  const auto values = reinterpret_cast<std::uintptr_t>(segment.values) + t * head_size;
  for (std::size_t byte = 0; byte < kStep * head_size; byte += kLine) {
    _mm_prefetch(reinterpret_cast<const char*>(keys + byte), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(values + byte), _MM_HINT_T0);
  }
}

}  // namespace mote::x86
