// SPDX-License-Identifier: Apache-2.0
// Clusters of small models for tests of the simulator.
#pragma once

#include <cstdint>
#include <vector>

#include "simulate/swarm.hpp"

namespace mote::host::test {

inline SwarmModels& models() {
  static SwarmModels all;
  return all;
}

inline constexpr std::uint64_t kMs = 1'000'000;  // in nanoseconds

/// Chips with whole images of one model, a question of 14 tokens to come, and patience as in the
/// swarm. An answer of four chips takes some 15 ms without faults.
inline SwarmCase small_cluster(Topology topology, std::uint32_t chips, std::uint32_t model = 0) {
  SwarmCase one;
  one.model = model;
  SimulationOptions& options = one.simulation;
  options.network.topology = topology;
  options.chips.resize(chips);
  for (ChipSpec& chip : options.chips) chip.image = models().image(model).bytes();
  options.run = {40, 4, 8};
  set_swarm_timing(options);
  Question question;
  question.prompt = {1, 3, 0, 4, 2, 2, 1};
  question.sampler.temperature_q16 = kOneQ16;
  question.sampler.top_k = 8;
  question.sampler.seed = 5;
  question.max_tokens = 14;
  one.questions = {question};
  return one;
}

/// The first `ranks` chips get shards, the others stay spares.
inline void give_shards(SwarmCase& one, std::uint32_t ranks) {
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    one.simulation.chips[rank].image =
        models().shard(one.model, one.simulation.coordinator.policy, ranks, rank);
  }
}

inline TimedFault fault_of(FaultKind kind, std::uint32_t seat, std::uint64_t at_ms,
                           std::uint64_t duration_ms) {
  TimedFault fault;
  fault.kind = kind;
  fault.seat = seat;
  fault.at_ns = at_ms * kMs;
  fault.duration_ns = duration_ms == 0 ? TimedFault::kForEver : duration_ms * kMs;
  fault.factor = 20;
  // In the middle of an image are weights.
  fault.bit = models().image(0).bytes().size() * 4;
  return fault;
}

}  // namespace mote::host::test
