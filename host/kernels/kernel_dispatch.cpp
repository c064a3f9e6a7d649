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

Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit) {
  return host::in_use->quantize(out, in, unit);
}

Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit) {
  return host::in_use->quantize_narrow(out, in, unit);
}

Scale16 quantize_transformed_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                                    std::span<std::int64_t> scratch, Multiplier unit) {
  return host::in_use->quantize_transformed(out, head, scratch, unit);
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

}  // namespace mote
