// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_kernel_sets.hpp"

namespace mote::host {

std::span<const FloatKernels* const> runnable_float_kernels() {
  static constexpr const FloatKernels* kSets[] = {&kPortableFloatKernels};
  return kSets;
}

const FloatKernels& float_kernels() {
  return kPortableFloatKernels;
}

}  // namespace mote::host
