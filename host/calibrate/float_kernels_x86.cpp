// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "calibrate/float_kernel_sets.hpp"

namespace mote::host {
namespace {

std::vector<const FloatKernels*> find_runnable() {
  std::vector<const FloatKernels*> sets = {&kPortableFloatKernels};
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) sets.push_back(&kAvx2FloatKernels);
  if (__builtin_cpu_supports("avx512f")) sets.push_back(&kAvx512FloatKernels);
  return sets;
}

}  // namespace

std::span<const FloatKernels* const> runnable_float_kernels() {
  static const std::vector<const FloatKernels*> sets = find_runnable();
  return sets;
}

const FloatKernels& float_kernels() {
  return *runnable_float_kernels().back();
}

}  // namespace mote::host
