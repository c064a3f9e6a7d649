// SPDX-License-Identifier: Apache-2.0
// How fast a cluster answers, beside one of its chips with all weights in memory.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "plan/link.hpp"
#include "simulate/answer.hpp"

namespace mote::host {

struct SpeedOptions {
  std::vector<std::uint8_t> weights;  // of each chip; the fastest has the clock below
  HeadPolicy policy = HeadPolicy::contiguous;
  std::optional<Topology> topology;  // none: broadcast on a shared medium, else ring
  LinkCard link;
  double latency_us = 0;
  std::uint32_t frame_bytes = 512;
  bool message_cost_on_cpu = false;
  bool single_context = false;
  double clock_mhz = 160;
  double cycles_per_mac = 3.3;
  RunConfig run = {0, 1, 1};  // a context of 0: the model's
  Question question;
  FaultPlan faults;
  std::uint64_t seed = 0;
};

/// Means of one drawn token, between the first and the last of an answer.
struct TokenTraffic {
  double messages = 0;        // sent by all chips
  double overhead_bytes = 0;  // of a message: what is no payload
  double link_payload = 0;    // of the busiest link, both directions
  double mean_link_payload = 0;
  double link_bytes = 0;        // of the busiest link, frames and all
  double repeated_payload = 0;  // of all links: sent again
};

struct SpeedRun {
  Answer answer;
  double prompt_s = 0;       // from the question to the first token
  double tokens_per_s = 0;   // after the first
  TimeTrace::Parts parts{};  // microseconds of a token, by Exchange
  TokenTraffic traffic;
  std::uint64_t events = 0;
  std::uint64_t hash = 0;
};

struct SpeedResult {
  SpeedRun cluster;
  SpeedRun one_chip;
  Topology topology = Topology::ring;
  bool is_identical = false;  // the text, to that of one chip

  double speedup() const { return cluster.tokens_per_s / one_chip.tokens_per_s; }
};

/// Runs the question on the cluster and on one chip. `image` is whole. Throws `Error` where the
/// options do not fit it.
SpeedResult measure_speed(const Image& image, const SpeedOptions& options);

/// The simulation that `measure_speed` runs.
SimulationOptions speed_simulation(const Image& image, const SpeedOptions& options);

}  // namespace mote::host
