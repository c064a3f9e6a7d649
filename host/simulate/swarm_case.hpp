// SPDX-License-Identifier: Apache-2.0
// A whole run drawn from one number: the cluster, the question and what goes wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulate/answer.hpp"
#include "simulate/swarm_models.hpp"

namespace mote::host {

struct SwarmCase {
  std::uint64_t seed = 0;
  std::uint32_t model = 0;
  SimulationOptions simulation;
  std::vector<Question> questions;  // one after another, to the same chips
  /// An error is a right answer: what is left cannot hold the model, or cannot ask. Where it is
  /// false the answer has to come.
  bool may_fail = false;
};

SwarmCase draw_case(SwarmModels& models, std::uint64_t seed);

/// Patience for the models of a swarm: a longest exchange takes about 1.5 ms, and a chip that is 20
/// times slower computes 15 ms. Images are checked at each token.
void set_swarm_timing(SimulationOptions& simulation);

/// Whether faults that do not pass keep the chips of `simulation` from an answer.
bool may_fail(const SimulationOptions& simulation);

/// One line, for people who replay a run.
std::string describe(const SwarmCase& one, const SwarmModels& models);

}  // namespace mote::host
