// SPDX-License-Identifier: Apache-2.0
// Where the build has chosen the kernels there is one set.
#include "kernels/kernel_choice.hpp"
#include "kernels/kernel_sets.hpp"

namespace mote::host {
namespace {

constexpr KernelSet kBuilt = {"built-in",
                              [] { return true; },
                              matvec_s8_s32,
                              attend_segments,
                              attend_two,
                              quantize_blocks_s64_s8,
                              quantize_blocks_s32_s8,
                              quantize_heads_s32_s8,
                              rotate_heads,
                              swiglu_lanes,
                              quantize_swiglu,
                              norm_factor,
                              add_residual,
                              find_above};

}  // namespace

std::span<const KernelSet> kernel_sets() {
  return {&kBuilt, 1};
}

const KernelSet& kernels_in_use() {
  return kBuilt;
}

void use_kernels(const KernelSet& /*set*/) {}

}  // namespace mote::host
