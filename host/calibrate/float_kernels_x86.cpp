// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "calibrate/float_kernel_sets.hpp"
#include "kernels/kernel_choice.hpp"

namespace mote::host {
namespace {

std::vector<const FloatKernels*> find_runnable() {
  std::vector<const FloatKernels*> sets = {&kPortableFloatKernels};
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
  const std::string_view wanted = name_of_kernels_in_use();
  for (const FloatKernels* kernels : runnable_float_kernels()) {
    if (kernels->name == wanted) return *kernels;
  }
  return kPortableFloatKernels;
}

}  // namespace mote::host
