// SPDX-License-Identifier: Apache-2.0
// Queries and keys, for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include "kernels/heads.hpp"

namespace mote::avx2 {
void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position);
/// As the reference; mostly, `heads` stay as they are and `scratch` unused.
void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                           std::size_t head_size, std::span<std::int64_t> scratch, Multiplier unit);
}  // namespace mote::avx2

namespace mote::avx512 {
void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position);
/// As the reference; mostly, `heads` stay as they are and `scratch` unused.
void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                           std::size_t head_size, std::span<std::int64_t> scratch, Multiplier unit);
}  // namespace mote::avx512
