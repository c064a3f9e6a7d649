// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include "attention/attend_x86.hpp"
#include "kernels/activation_x86.hpp"
#include "kernels/heads_x86.hpp"
#include "kernels/kernel_sets.hpp"
#include "kernels/matvec_x86.hpp"
#include "kernels/quantize_x86.hpp"
#include "kernels/rms_norm_x86.hpp"
#include "kernels/search_x86.hpp"

namespace mote::host {
namespace {

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

constexpr KernelSet kAvx2 = {"avx2",
                             has_avx2,
                             avx2::matvec_s8_s32,
                             avx2::attend_segments,
                             avx2::attend_two,
                             avx2::quantize_blocks_s64_s8,
                             avx2::quantize_blocks_s32_s8,
                             avx2::quantize_heads_s32_s8,
                             avx2::rotate_heads,
                             avx2::swiglu_lanes,
                             avx2::quantize_swiglu,
                             avx2::norm_factor,
                             avx2::add_residual,
                             avx2::find_above};

constexpr KernelSet kAvx512 = {"avx512",
                               has_avx512,
                               avx512::matvec_s8_s32,
                               avx512::attend_segments,
                               avx512::attend_two,
                               avx512::quantize_blocks_s64_s8,
                               avx512::quantize_blocks_s32_s8,
                               avx512::quantize_heads_s32_s8,
                               avx512::rotate_heads,
                               avx512::swiglu_lanes,
                               avx512::quantize_swiglu,
                               avx512::norm_factor,
                               avx512::add_residual,
                               avx512::find_above};

}  // namespace

constinit const KernelSet kKernelSets[] = {reference_kernels(), kAvx2, kAvx512};
const std::size_t kKernelSetCount = std::size(kKernelSets);

}  // namespace mote::host
