// SPDX-License-Identifier: Apache-2.0
// A model over a cluster before anything is flashed: who holds what, bytes, time. Everything here
// is computed from the model's shape and from cards of link and chip; nothing is measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "mote/transformer.hpp"
#include "plan/chip_memory.hpp"
#include "plan/cost_card.hpp"
#include "plan/link.hpp"

namespace mote::host {

struct PlanOptions {
  std::uint32_t chips = 1;
  std::vector<std::uint32_t> weights;  // relative speeds of the chips; empty: equal
  HeadPolicy policy = HeadPolicy::contiguous;
  RunConfig run = {0, 1, 1};  // a context of 0: the model's
  LinkCard link;
  std::optional<Topology> topology;  // none: broadcast on a shared medium, else ring
  /// Of a chip of the largest weight; the others are slower in proportion.
  double clock_mhz = 160;
  double cycles_per_mac = 3.3;
  std::optional<std::uint64_t> memory_bytes;  // RAM of a chip
  bool weights_in_ram = false;
};

struct ChipPlan {
  std::uint32_t weight = 1;
  HeadSet heads;
  std::uint32_t kv_heads = 0;
  std::vector<Range> hidden_blocks;  // (n_layers)
  Range residual_blocks;
  Range vocabulary;
  ChipMemory memory;
  std::uint64_t macs = 0;  // of one token
  Traffic sent;            // for one token

  bool holds_nothing() const;
};

/// All exchanges of one kind of one token.
struct ExchangePlan {
  Exchange exchange = Exchange::embed;
  std::uint32_t count = 0;
  std::uint64_t payload_bytes = 0;  // the whole vectors, each block once
  double compute_us = 0;            // of the slowest chip before each
  double wire_us = 0;
};

/// What one token costs, beside one chip of the largest weight that holds the whole model.
struct TokenPlan {
  std::uint32_t position = 0;  // of the token: the middle of the context
  std::uint32_t steps = 0;
  double compute_us = 0;
  double wire_us = 0;
  double one_chip_us = 0;
  std::uint64_t link_payload_bytes = 0;  // through the busiest link
  double mean_link_payload_bytes = 0;
  /// The same link where each layer adds up two int32 vectors over a ring instead:
  /// 16 * dim * layers * (N - 1) / N.
  std::uint64_t all_reduce_bytes = 0;

  double time_us() const { return compute_us + wire_us; }
  double speedup() const { return one_chip_us / time_us(); }
};

struct Plan {
  HeadPolicy policy = HeadPolicy::contiguous;
  Topology topology = Topology::ring;
  LinkCard link;
  RunConfig run;
  double clock_mhz = 0;
  double cycles_per_mac = 0;
  bool weights_in_ram = false;
  ModelConfig config;
  std::vector<ChipPlan> chips;
  ChipMemory one_chip;
  std::vector<ExchangePlan> exchanges;  // in the order of Exchange
  TokenPlan token;
  std::vector<std::string> advice;  // sentences

  /// The chip that needs the most bytes.
  const ChipMemory& largest() const;
};

/// `image` is called `path` in errors. Throws `Error` where the model cannot be cut so, where the
/// options contradict each other, and where `memory_bytes` is not enough for a chip: with the
/// reason, and the nearest split that works.
Plan make_plan(const Image& image, const PlanOptions& options, const std::string& path);

}  // namespace mote::host
