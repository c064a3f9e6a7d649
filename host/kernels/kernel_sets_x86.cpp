// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "attention/attend_x86.hpp"
#include "kernels/activation_x86.hpp"
#include "kernels/heads_x86.hpp"
#include "kernels/kernel_choice.hpp"
#include "kernels/kernel_sets.hpp"
#include "kernels/matvec_x86.hpp"
#include "kernels/quantize_x86.hpp"
#include "kernels/rms_norm_x86.hpp"
#include "kernels/search_x86.hpp"

namespace mote {
namespace host {
namespace {

bool runs_anywhere() {
  return true;
}

bool has_avx2() {
  __builtin_cpu_init();  // in case that nobody has yet
  return __builtin_cpu_supports("avx2");
}

bool has_avx512() {
  __builtin_cpu_init();  // in case that nobody has yet
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");  // LZCNT came with BMI, or before it
}

constexpr KernelSet kReference = {"reference",
                                  runs_anywhere,
                                  ref::matvec_s8_s32,
                                  ref::attend_segments,
                                  ref::attend_two,
                                  ref::quantize_block_s64_s8,
                                  ref::quantize_block_s32_s8,
                                  ref::quantize_transformed_s32_s8,
                                  ref::rotate_heads,
                                  ref::swiglu_lanes,
                                  ref::norm_factor,
                                  ref::add_residual,
                                  ref::find_above};

/// The reference, but for the product.
constexpr KernelSet avx2_set() {
  KernelSet set = kReference;
  set.name = "avx2";
  set.runs_here = has_avx2;
  set.matvec = avx2::matvec_s8_s32;
  return set;
}

constexpr KernelSet kAvx512 = {"avx512",
                               has_avx512,
                               avx512::matvec_s8_s32,
                               avx512::attend_segments,
                               avx512::attend_two,
                               avx512::quantize_block_s64_s8,
                               avx512::quantize_block_s32_s8,
                               avx512::quantize_transformed_s32_s8,
                               avx512::rotate_heads,
                               avx512::swiglu_lanes,
                               avx512::norm_factor,
                               avx512::add_residual,
                               avx512::find_above};

constexpr std::array kSets = {kReference, avx2_set(), kAvx512};

// Set before `main`; whoever comes earlier gets the reference.
const KernelSet* in_use = kSets.data();
[[maybe_unused]] const bool chosen = choose_kernels_at_start();

}  // namespace

std::span<const KernelSet> kernel_sets() {
  return kSets;
}

const KernelSet& kernels_in_use() {
  return *in_use;
}

void use_kernels(const KernelSet& set) {
  in_use = &set;
}

}  // namespace host

// What the device library calls.

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
