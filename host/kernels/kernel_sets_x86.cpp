// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "attention/attend_x86.hpp"
#include "kernels/activation_x86.hpp"
#include "kernels/kernel_choice.hpp"
#include "kernels/kernel_sets.hpp"
#include "kernels/matvec_x86.hpp"
#include "kernels/quantize_x86.hpp"

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
         __builtin_cpu_supports("avx512vbmi");
}

constexpr std::array kSets = {
    KernelSet{"reference", runs_anywhere, ref::matvec_s8_s32, ref::attend_segments,
              ref::quantize_block_s64_s8, ref::quantize_block_s32_s8, ref::swiglu_lanes},
    KernelSet{"avx2", has_avx2, avx2::matvec_s8_s32, ref::attend_segments,
              ref::quantize_block_s64_s8, ref::quantize_block_s32_s8, ref::swiglu_lanes},
    KernelSet{"avx512", has_avx512, avx512::matvec_s8_s32, avx512::attend_segments,
              avx512::quantize_block_s64_s8, avx512::quantize_block_s32_s8, avx512::swiglu_lanes},
};

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

Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit) {
  return host::in_use->quantize(out, in, unit);
}

Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit) {
  return host::in_use->quantize_narrow(out, in, unit);
}

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  host::in_use->swiglu(out, gate, up, count);
}

}  // namespace mote
