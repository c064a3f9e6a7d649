// SPDX-License-Identifier: Apache-2.0
// Queries and keys on their way to int8.
#pragma once

#include <cstdint>
#include <span>

#include "mote/scale.hpp"

namespace mote {

namespace ref {

/// A head turned by its position (rotate_pairs), transformed (hadamard_transform) and rounded
/// (quantize_block_s32_s8).
///   out (n); head (n), any lanes, afterwards others; scratch (n); frequencies (n / 2) as
///   rotate_pairs has them; unit of the lanes, as quantize_block_s32_s8 has it
/// Returns the scale in units of 2^-28.
Scale16 quantize_turned_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                               std::span<std::int64_t> scratch, const std::uint32_t* frequencies,
                               std::uint32_t position, Multiplier unit);

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
Scale16 quantize_turned_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                               std::span<std::int64_t> scratch, const std::uint32_t* frequencies,
                               std::uint32_t position, Multiplier unit);
#else
using ref::quantize_turned_s32_s8;
#endif

}  // namespace mote
