// SPDX-License-Identifier: Apache-2.0
// Options that say how this computer computes: which kernels, how many threads.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "kernels/kernel_choice.hpp"
#include "mote/slice.hpp"

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

/// Adds `--threads`.
inline void add_threads_option(CLI::App& command, std::uint32_t& threads) {
  command
      .add_option("--threads", threads,
                  "Threads that share the work as chips do; the results are the same")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxChips));
}

}  // namespace mote::host
