// SPDX-License-Identifier: Apache-2.0
// Queries and keys, for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include "kernels/turn.hpp"

namespace mote::avx512 {
/// As the reference; `head` stays as it is, and `scratch` unused.
Scale16 quantize_turned_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                               std::span<std::int64_t> scratch, const std::uint32_t* frequencies,
                               std::uint32_t position, Multiplier unit);
}  // namespace mote::avx512
