// SPDX-License-Identifier: Apache-2.0
// Many simulated runs, each with faults of its own: none may end in a wrong token or not at all.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "simulate/swarm_case.hpp"

namespace mote::host {

enum class RunEnd : std::uint8_t {
  exact,             // the tokens of one chip; no chip was lost
  exact_after_loss,  // the same after another session had to be opened
  error,             // a clear error where there could be no answer
  coordinator_gone,  // the chip that was asked is gone
};
inline constexpr std::size_t kRunEnds = 4;
const char* run_end_name(RunEnd end);

struct SwarmRun {
  RunEnd end = RunEnd::exact;
  std::string failure;  // what must not be; empty where all is well
  std::uint32_t sessions = 0;
  std::uint32_t questions = 0;
  std::uint64_t events = 0;
  std::size_t most_waiting = 0;
  std::uint64_t hash = 0;
  std::uint64_t end_us = 0;
  NetworkCounters network;
  std::string error;  // what the coordinator said
};

SwarmRun run_case(const SwarmCase& one, const SwarmModels& models);

/// Outcomes of the runs that had a fault of a kind, and of all.
struct SwarmCounts {
  std::array<std::array<std::uint64_t, kRunEnds>, kFaultKinds> of_kind{};
  std::array<std::uint64_t, kRunEnds> all{};
  std::uint64_t runs = 0;
  std::uint64_t events = 0;
  std::size_t most_waiting = 0;
};

struct SwarmResult {
  SwarmCounts counts;
  std::uint64_t seed = 0;  // the first that failed
  std::string failure;     // empty where none did
};

/// Runs seeds `first` to `first` + `count` - 1 up to the first failure. `progress` is told after
/// each run.
SwarmResult run_swarm(SwarmModels& models, std::uint64_t first, std::uint64_t count,
                      const std::function<void(const SwarmCounts&)>& progress = {});

std::string format_counts(const SwarmCounts& counts);

}  // namespace mote::host
