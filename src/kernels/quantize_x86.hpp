// SPDX-License-Identifier: Apache-2.0
// Quantisation for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/quantize.hpp"

namespace mote::avx2 {
Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit);
Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit);
}  // namespace mote::avx2

namespace mote::avx512 {
/// Both need AVX512F, BW, DQ and VL.
Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit);
Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit);
}  // namespace mote::avx512
