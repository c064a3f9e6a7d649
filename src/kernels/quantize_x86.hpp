// SPDX-License-Identifier: Apache-2.0
// Quantisation for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/quantize.hpp"

namespace mote::avx2 {
void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, std::span<const Multiplier> units);
void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> in,
                            std::size_t block, Multiplier unit);
}  // namespace mote::avx2

namespace mote::avx512 {
/// Both need AVX512F, BW, CD, DQ and VL.
void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, std::span<const Multiplier> units);
void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> in,
                            std::size_t block, Multiplier unit);
}  // namespace mote::avx512
