// SPDX-License-Identifier: Apache-2.0
#include "plan/token_plan.hpp"

#include <algorithm>

#include "mote/partition.hpp"
#include "plan/token_exchanges.hpp"

namespace mote::host {
namespace {

/// The causal position at which attention costs as much as that of `layer` does at `position`. A
/// linear layer updates and reads head_size sums of head_size each.
std::uint32_t effective_position(const Image& image, std::uint32_t layer, std::uint32_t position) {
  const LayerAttentionConfig attention = image.layer_attention(layer + 1);
  switch (attention.kind) {
    case AttentionKind::causal:
      break;
    case AttentionKind::sliding_window:
      return std::min<std::uint32_t>(position, attention.window + attention.sinks - 1);
    case AttentionKind::linear:
      return image.config().head_size - 1;
  }
  return position;
}

/// Adds up one token, phase by phase.
class TokenCounter {
 public:
  TokenCounter(Plan& plan, const Image& image, std::span<const Slice> slices)
      : plan_(plan),
        image_(image),
        slices_(slices),
        us_per_mac_(plan.cycles_per_mac / plan.clock_mhz) {
    for (const ChipPlan& chip : plan.chips)
      largest_weight_ = std::max(largest_weight_, chip.weight);
    constexpr std::size_t kExchanges = static_cast<std::size_t>(Exchange::candidates) + 1;
    for (std::size_t i = 0; i < kExchanges; ++i) {
      plan_.exchanges.push_back({static_cast<Exchange>(i)});
    }
  }

  void add(Phase phase) {
    ExchangePlan& exchange = plan_.exchanges[static_cast<std::size_t>(phase.exchange)];
    ++exchange.count;
    const double compute_us = add_macs(phase);
    exchange.compute_us += compute_us;
    plan_.token.compute_us += compute_us;
    plan_.token.one_chip_us += us_per_mac_ * double(macs(Slice::whole(plan_.config), phase));
    const auto shares = exchange_shares(image_, slices_, phase, plan_.run.candidates, plan_.link);
    for (const ShareSize& share : shares) exchange.payload_bytes += share.payload_bytes;
    const GatherCost cost = gather_cost(plan_.topology, shares, plan_.link);
    exchange.wire_us += cost.time_us;
    add_cost(cost);
  }

 private:
  std::uint64_t macs(const Slice& slice, Phase phase) const {
    const std::uint32_t position =
        phase.exchange == Exchange::heads
            ? effective_position(image_, phase.layer, plan_.token.position)
            : 0;
    return phase_macs(plan_.config, slice, phase, position);
  }

  /// The time of the slowest chip.
  double add_macs(Phase phase) {
    double slowest_us = 0;
    for (std::size_t rank = 0; rank < slices_.size(); ++rank) {
      ChipPlan& chip = plan_.chips[rank];
      if (chip.weight == 0) continue;
      const std::uint64_t count = macs(slices_[rank], phase);
      chip.macs += count;
      slowest_us =
          std::max(slowest_us, us_per_mac_ * double(count) * largest_weight_ / chip.weight);
    }
    return slowest_us;
  }

  void add_cost(const GatherCost& cost) {
    plan_.token.steps += cost.steps;
    plan_.token.wire_us += cost.time_us;
    for (std::size_t rank = 0; rank < cost.chips.size(); ++rank) {
      plan_.chips[rank].sent.messages += cost.chips[rank].messages;
      plan_.chips[rank].sent.wire_bytes += cost.chips[rank].wire_bytes;
    }
    link_bytes_.resize(cost.link_payload_bytes.size());
    for (std::size_t i = 0; i < link_bytes_.size(); ++i) {
      link_bytes_[i] += cost.link_payload_bytes[i];
      plan_.token.link_payload_bytes = std::max(plan_.token.link_payload_bytes, link_bytes_[i]);
      plan_.token.mean_link_payload_bytes +=
          static_cast<double>(cost.link_payload_bytes[i]) / static_cast<double>(link_bytes_.size());
    }
  }

  Plan& plan_;
  const Image& image_;
  std::span<const Slice> slices_;
  double us_per_mac_ = 0;
  std::uint32_t largest_weight_ = 1;
  std::vector<std::uint64_t> link_bytes_;  // through each link so far
};

}  // namespace

void plan_token(Plan& plan, const Image& image, std::span<const Slice> slices) {
  plan.token.position = (plan.run.context_length - 1) / 2;
  const std::uint64_t chips = plan.chips.size();
  plan.token.all_reduce_bytes =
      16 * std::uint64_t{plan.config.dim} * plan.config.n_layers * (chips - 1) / chips;
  TokenCounter counter(plan, image, slices);
  for (const Phase phase : token_phases(plan.config)) counter.add(phase);
}

}  // namespace mote::host
