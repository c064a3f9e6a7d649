// SPDX-License-Identifier: Apache-2.0
// SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fixed_point.hpp"
#include "kernels/quantize.hpp"
#include "mote/scale.hpp"

namespace mote {

/// Fraction bits of gate and up projections.
inline constexpr int kGateFractionBits = 16;
/// Fraction bits of silu(gate) * up.
inline constexpr int kHiddenFractionBits = 36;
inline constexpr Multiplier kHiddenUnit = {kUnitMultiplier.mantissa,
                                           kUnitMultiplier.exponent - kHiddenFractionBits};

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

/// Blocks of swiglu_lanes, each rounded by quantize_block_s64_s8.
///   out (n), scales (blocks) in units of 2^-28; gate, up (n) Q16: of `block` lanes each, at most
///   kMaxBlock, the last one of what is left; scratch (block)
inline void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                            const std::int32_t* up, std::size_t block,
                            std::span<std::int64_t> scratch) {
  while (!gate.empty()) {
    const auto lanes = scratch.first(std::min(block, gate.size()));
    ref::swiglu_lanes(lanes.data(), gate.data(), up, lanes.size());
    *scales++ = ref::quantize_block_s64_s8(out, lanes, kHiddenUnit);
    out += lanes.size();
    up += lanes.size();
    gate = gate.subspan(lanes.size());
  }
}

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);
void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                     const std::int32_t* up, std::size_t block, std::span<std::int64_t> scratch);
#else
using ref::quantize_swiglu;
using ref::swiglu_lanes;
#endif

}  // namespace mote
