// SPDX-License-Identifier: Apache-2.0
// What the device library calls, where its kernels are chosen at start.
#include "kernels/kernel_choice.hpp"
#include "kernels/kernel_sets.hpp"

namespace mote {
namespace host {
namespace {

// Set before `main`; whoever comes earlier gets the reference.
const KernelSet* in_use = kKernelSets;
[[maybe_unused]] const bool chosen = choose_kernels_at_start();

}  // namespace

std::span<const KernelSet> kernel_sets() {
  return {kKernelSets, kKernelSetCount};
}

const KernelSet& kernels_in_use() {
  return *in_use;
}

void use_kernels(const KernelSet& set) {
  in_use = &set;
}

}  // namespace host

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  host::in_use->matvec(out, matrix, x, fraction_bits);
}

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  host::in_use->attend(out, scratch, segments, queries, score_scale);
}

void attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                Multiplier score_scale) {
  host::in_use->attend_two(heads, scratch, score_scale);
}

void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, std::span<const Multiplier> units) {
  host::in_use->quantize(out, scales, in, block, units);
}

void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, Multiplier unit) {
  host::in_use->quantize(out, scales, in, block, {&unit, 1});
}

void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> in,
                            std::size_t block, Multiplier unit) {
  host::in_use->quantize_narrow(out, scales, in, block, unit);
}

void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                           std::size_t head_size, std::span<std::int64_t> scratch,
                           Multiplier unit) {
  host::in_use->quantize_heads(out, scales, heads, head_size, scratch, unit);
}

void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position) {
  host::in_use->rotate_heads(heads, head_size, frequencies, position);
}

Multiplier norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales, int unit,
                       std::uint32_t block, std::uint32_t dim, std::uint64_t epsilon) {
  return host::in_use->norm_factor(values, scales, unit, block, dim, epsilon);
}

void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta) {
  host::in_use->add_residual(residual, delta);
}

std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound) {
  return host::in_use->find_above(numbers, first, count, bound);
}

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  host::in_use->swiglu(out, gate, up, count);
}

void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                     const std::int32_t* up, std::size_t block, std::span<std::int64_t> scratch) {
  host::in_use->quantize_swiglu(out, scales, gate, up, block, scratch);
}

}  // namespace mote
