// SPDX-License-Identifier: Apache-2.0
// Queries and keys on their way to int8: turned by their position, transformed, rounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/scale.hpp"

namespace mote {

namespace ref {

/// rotate_pairs of several heads, whose sines are the same (rope.cpp).
///   heads (n, head_size), in place; frequencies (head_size / 2) turns per position * 2^32
void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position);

/// A head transformed (hadamard_transform) and rounded (quantize_block_s32_s8).
///   out (n); head (n), any lanes, afterwards others; scratch (n); unit of the lanes, as
///   quantize_block_s32_s8 has it
/// Returns the scale in units of 2^-28.
Scale16 quantize_transformed_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                                    std::span<std::int64_t> scratch, Multiplier unit);

/// Heads that lie side by side, each as quantize_transformed_s32_s8 rounds it.
///   out, heads (n, head_size), scales (n), scratch (head_size)
inline void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                                  std::size_t head_size, std::span<std::int64_t> scratch,
                                  Multiplier unit) {
  for (; !heads.empty(); heads = heads.subspan(head_size), out += head_size) {
    *scales++ = ref::quantize_transformed_s32_s8(out, heads.first(head_size), scratch, unit);
  }
}

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position);
void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                           std::size_t head_size, std::span<std::int64_t> scratch, Multiplier unit);
#else
using ref::quantize_heads_s32_s8;
using ref::rotate_heads;
#endif

}  // namespace mote
