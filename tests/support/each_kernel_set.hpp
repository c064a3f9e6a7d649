// SPDX-License-Identifier: Apache-2.0
// Every set of kernels that this computer runs, for tests that compare them with the reference.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/kernel_choice.hpp"
#include "kernels/kernel_sets.hpp"

namespace mote::test {

/// Calls visit(set) for each; a failure names it.
template <typename Visit>
void for_each_kernel_set(const Visit& visit) {
  for (const host::KernelSet& set : host::kernel_sets()) {
    if (!set.runs_here()) continue;
    SCOPED_TRACE(std::string(set.name));
    visit(set);
  }
}

/// Runs the whole program with each, and gives back the one that was in use.
template <typename Visit>
void use_each_kernel_set(const Visit& visit) {
  const host::KernelSet& before = host::kernels_in_use();
  for_each_kernel_set([&](const host::KernelSet& set) {
    host::use_kernels(set);
    visit(set);
  });
  host::use_kernels(before);
}

}  // namespace mote::test
