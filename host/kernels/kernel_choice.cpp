// SPDX-License-Identifier: Apache-2.0
#include "kernels/kernel_choice.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <cstdlib>

#include "kernels/kernel_sets.hpp"
#include "support/error.hpp"

namespace mote::host {

std::vector<std::string_view> runnable_kernels() {
  std::vector<std::string_view> names;
  for (const KernelSet& set : kernel_sets()) {
    if (set.runs_here()) names.push_back(set.name);
  }
  return names;
}

std::string_view name_of_kernels_in_use() {
  return kernels_in_use().name;
}

void use_kernels(std::string_view name) {
  for (const KernelSet& set : kernel_sets()) {
    if (set.name == name && set.runs_here()) return use_kernels(set);
  }
  throw Error(fmt::format("kernels \"{}\": this computer has {}", name,
                          fmt::join(runnable_kernels(), ", ")));
}

bool choose_kernels_at_start() {
  const char* wanted = std::getenv(kKernelsVariable);
  try {
    use_kernels(wanted != nullptr ? std::string_view(wanted) : runnable_kernels().back());
  } catch (const Error& error) {
    std::fprintf(stderr, "mote: %s: %s\n", kKernelsVariable, error.what());
    std::_Exit(2);
  }
  return true;
}

}  // namespace mote::host
