// SPDX-License-Identifier: Apache-2.0
// SwiGLU for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/activation.hpp"
#include "kernels/quantize_x86.hpp"
#include "mote/config.hpp"

namespace mote::x86 {

/// quantize_swiglu, some blocks at once. // block at most kMaxBlock
template <auto kSwigluLanes, auto kQuantizeBlocks>
[[gnu::always_inline]] inline void quantize_swiglu(std::int8_t* out, Scale16* scales,
                                                   std::span<const std::int32_t> gate,
                                                   const std::int32_t* up, std::size_t block) {
  constexpr std::size_t kTogether = 8;
  std::int64_t lanes[kTogether * kMaxBlock];
  const Multiplier unit = kHiddenUnit;
  for (std::size_t first = 0; first < gate.size(); first += kTogether * block) {
    const std::size_t left = gate.size() - first;
    const std::size_t count = left < kTogether * block ? left : kTogether * block;
    kSwigluLanes(lanes, &gate[first], up + first, count);
    kQuantizeBlocks(out + first, scales, {lanes, count}, block, {&unit, 1});
    scales += kTogether;
  }
}

}  // namespace mote::x86

namespace mote::avx2 {
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);
void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                     const std::int32_t* up, std::size_t block, std::span<std::int64_t> scratch);
}  // namespace mote::avx2

namespace mote::avx512 {
/// Need AVX512F, BW, CD, DQ and VL.
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);
void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                     const std::int32_t* up, std::size_t block, std::span<std::int64_t> scratch);
}  // namespace mote::avx512
