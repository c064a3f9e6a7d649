// SPDX-License-Identifier: Apache-2.0
#include <asm/hwcap.h>
#include <sys/auxv.h>

#include <iterator>

#include "kernels/kernel_sets.hpp"
#include "kernels/matvec_aarch64.hpp"

namespace mote::host {
namespace {

bool has_dotprod() {
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

/// The reference, but for the product.
constexpr KernelSet neon_set() {
  KernelSet set = reference_kernels();
  set.name = "neon";
  set.matvec = neon::matvec_s8_s32;
  return set;
}

constexpr KernelSet dotprod_set() {
  KernelSet set = reference_kernels();
  set.name = "dotprod";
  set.runs_here = has_dotprod;
  set.matvec = dotprod::matvec_s8_s32;
  return set;
}

}  // namespace

constinit const KernelSet kKernelSets[] = {reference_kernels(), neon_set(), dotprod_set()};
const std::size_t kKernelSetCount = std::size(kKernelSets);

}  // namespace mote::host
