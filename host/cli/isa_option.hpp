// SPDX-License-Identifier: Apache-2.0
// The option that names the kernels.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <string>

#include "kernels/kernel_choice.hpp"

namespace mote::host {

/// Adds `--isa`; it takes effect at once.
inline void add_isa_option(CLI::App& command) {
  const auto use = [](const std::string& name) { use_kernels(name); };
  command.add_option_function<std::string>(
      "--isa", use,
      fmt::format("Kernels, of those that this computer runs: {} (default: the last, or {}); the "
                  "results are the same",
                  fmt::join(runnable_kernels(), ", "), kKernelsVariable));
}

}  // namespace mote::host
