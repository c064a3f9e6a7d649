// SPDX-License-Identifier: Apache-2.0
// SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020).
#pragma once

#include <cstddef>
#include <cstdint>

namespace mote {

/// Fraction bits of gate and up projections.
inline constexpr int kGateFractionBits = 16;
/// Fraction bits of silu(gate) * up.
inline constexpr int kHiddenFractionBits = 36;

/// 1 / (1 + e^-x) in Q16, within 1.1 units of 2^-16. It never falls as x rises, and those of x and
/// -x add up to exactly 1. // x Q16
std::uint32_t sigmoid_q16(std::int32_t x);

/// x * sigmoid(x) in Q20, x limited to +-2048. // x Q16
std::int32_t silu_q16_q20(std::int32_t x);

/// silu(gate) * up in Q36, below 2^62. // gate, up Q16
std::int64_t swiglu_q36(std::int32_t gate, std::int32_t up);

namespace ref {

/// out[i] = swiglu_q36(gate[i], up[i]).
///   out (count) Q36; gate, up (count) Q16
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);
#else
using ref::swiglu_lanes;
#endif

}  // namespace mote
