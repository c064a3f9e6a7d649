// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plan/token_plan.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// Below this a cluster is not worth its chips, and the plan says so.
constexpr double kLeastSpeedup = 1.1;

RunConfig checked_run(const ModelConfig& config, RunConfig run, const std::string& path) {
  if (run.context_length == 0) run.context_length = config.context_length;
  if (run.context_length > config.context_length) {
    throw Error(fmt::format("{}: a context of {} positions was asked for; the model has 1 to {}",
                            path, run.context_length, config.context_length));
  }
  if (run.batch == 0 || run.batch > kMaxBatch) {
    throw Error(fmt::format("a batch of {} was asked for; must be 1 to {}", run.batch, kMaxBatch));
  }
  if (run.candidates == 0 || run.candidates > config.vocab_size) {
    throw Error(fmt::format("{}: {} candidates were asked for; the vocabulary has 1 to {}", path,
                            run.candidates, config.vocab_size));
  }
  return run;
}

Topology checked_topology(const PlanOptions& options) {
  const LinkCard& link = options.link;
  const Topology usual = link.is_shared_medium ? Topology::broadcast : Topology::ring;
  const Topology topology = options.topology.value_or(usual);
  if (link.is_shared_medium && topology != Topology::broadcast) {
    throw Error(
        fmt::format("--topology {}: {} is one medium that all chips share; the topology is "
                    "broadcast",
                    topology_name(topology), link.title));
  }
  return topology;
}

std::vector<std::uint32_t> chip_weights(const PlanOptions& options) {
  if (options.chips == 0 || options.chips > kMaxChips) {
    throw Error(fmt::format("--chips {}: a model is cut over 1 to {} chips; the nearest is {}",
                            options.chips, kMaxChips, options.chips == 0 ? 1 : kMaxChips));
  }
  if (options.weights.empty()) return std::vector<std::uint32_t>(options.chips, 1);
  if (options.weights.size() != options.chips) {
    throw Error(fmt::format("{} weights were given for {} chips: one a chip, or --chips {}",
                            options.weights.size(), options.chips, options.weights.size()));
  }
  return options.weights;
}

ChipPlan plan_chip(const Image& image, const RunConfig& run, const Slice& slice,
                   std::uint32_t weight, const NodeConfig& wiring) {
  const ModelConfig& config = image.config();
  ChipPlan chip;
  chip.weight = weight;
  chip.heads = slice.heads;
  chip.kv_heads = slice.heads.kv_count(config.heads_per_kv_head());
  for (std::uint32_t l = 0; l < config.n_layers; ++l) chip.hidden_blocks.push_back(slice.hidden(l));
  chip.residual_blocks = slice.residual_blocks;
  chip.vocabulary = slice.vocabulary;
  chip.memory = chip_memory(image, run, slice, wiring);
  return chip;
}

/// The command that plans `chips` equal chips and is otherwise that of `options`.
std::string plan_command(const PlanOptions& options, const std::string& path, std::uint32_t chips) {
  std::string command = fmt::format("mote plan -m {} --chips {}", path, chips);
  if (options.memory_bytes) command += fmt::format(" --memory {}", *options.memory_bytes);
  if (options.weights_in_ram) command += " --weights-in-ram";
  if (options.policy == HeadPolicy::round_robin) command += " --policy round-robin";
  if (options.run.context_length != 0) {
    command += fmt::format(" --context {}", options.run.context_length);
  }
  if (options.run.batch != 1) command += fmt::format(" --batch {}", options.run.batch);
  if (options.run.candidates != 1) command += fmt::format(" --top-k {}", options.run.candidates);
  return command;
}

/// What to do where the chips of `plan` are too small.
std::string find_remedy(const Plan& plan, const Image& image, const PlanOptions& options,
                        const std::string& path) {
  ClusterNeed least;
  const auto fitting =
      find_fitting_cluster(least, image, plan.run, plan.policy, plan.topology, options.chips,
                           *options.memory_bytes, plan.weights_in_ram);
  if (!fitting) {
    return fmt::format("no number of chips fits; the least need is {} bytes, with {} chips",
                       least.ram_bytes, least.chips);
  }
  const char* noun = fitting->chips == 1 ? "chip fits" : "chips fit";
  return fmt::format("{} {}: {}", fitting->chips, noun,
                     plan_command(options, path, fitting->chips));
}

void require_memory(const Plan& plan, const Image& image, const PlanOptions& options,
                    const std::string& path) {
  const auto need = [&](const ChipPlan& chip) {
    return chip.memory.ram_bytes(plan.weights_in_ram);
  };
  const auto most =
      std::max_element(plan.chips.begin(), plan.chips.end(),
                       [&](const ChipPlan& a, const ChipPlan& b) { return need(a) < need(b); });
  if (need(*most) <= *options.memory_bytes) return;
  const ChipMemory& memory = most->memory;
  const std::string parts =
      plan.weights_in_ram
          ? fmt::format("arena {} + weights {}", memory.arena_bytes, memory.weight_bytes)
          : "its arena";
  throw Error(fmt::format("{}: chip {} of {} needs {} bytes of RAM ({}), {} more than it has; {}",
                          path, most - plan.chips.begin(), plan.chips.size(), need(*most), parts,
                          need(*most) - *options.memory_bytes,
                          find_remedy(plan, image, options, path)));
}

/// What would help a cluster that is not faster than one chip.
const char* find_cure(const Plan& plan) {
  if (plan.token.one_chip_us >= kLeastSpeedup * plan.token.compute_us) {
    return "pipeline or a faster link";
  }
  return plan.policy == HeadPolicy::round_robin ? "contiguous heads or fewer chips"
                                                : "fewer chips or a larger model";
}

void advise(Plan& plan) {
  const std::size_t chips = plan.chips.size();
  if (chips > 1 && plan.token.speedup() < kLeastSpeedup) {
    plan.advice.push_back(fmt::format("{} chips over {}: {:.2g} times one chip; use {}", chips,
                                      plan.link.title, plan.token.speedup(), find_cure(plan)));
  }
  const std::uint32_t blocks = plan.config.dim_padded() / plan.config.block;
  if (chips > blocks && plan.config.block > 16) {
    plan.advice.push_back(
        fmt::format("the model has {} blocks of {} lanes to share: mote convert --block 16 makes "
                    "{}",
                    blocks, plan.config.block, (plan.config.dim + 15) / 16));
  }
  const auto idle = std::count_if(plan.chips.begin(), plan.chips.end(),
                                  [](const ChipPlan& chip) { return chip.holds_nothing(); });
  if (idle != 0) {
    plan.advice.push_back(fmt::format("{} of {} chips hold nothing", idle, chips));
  }
}

}  // namespace

bool ChipPlan::holds_nothing() const {
  return heads.count == 0 && residual_blocks.count == 0 && vocabulary.count == 0 &&
         std::all_of(hidden_blocks.begin(), hidden_blocks.end(),
                     [](const Range& range) { return range.count == 0; });
}

const ChipMemory& Plan::largest() const {
  return std::max_element(chips.begin(), chips.end(),
                          [](const ChipPlan& a, const ChipPlan& b) {
                            return a.memory.total_bytes() < b.memory.total_bytes();
                          })
      ->memory;
}

Plan make_plan(const Image& image, const PlanOptions& options, const std::string& path) {
  if (image.is_shard()) {
    throw Error(path + ": holds one chip's part of a model; a plan needs the whole");
  }
  Plan plan;
  plan.policy = options.policy;
  plan.topology = checked_topology(options);
  plan.link = options.link;
  plan.run = checked_run(image.config(), options.run, path);
  plan.clock_mhz = options.clock_mhz;
  plan.cycles_per_mac = options.cycles_per_mac;
  plan.weights_in_ram = options.weights_in_ram;
  plan.config = image.config();
  const auto weights = chip_weights(options);
  const ClusterCut cut(plan.config, plan.policy, weights);
  NodeConfig wiring;
  wiring.topology = plan.topology;
  wiring.seats = static_cast<std::uint32_t>(weights.size());
  for (std::size_t rank = 0; rank < weights.size(); ++rank) {
    wiring.seat = static_cast<std::uint32_t>(rank);
    plan.chips.push_back(plan_chip(image, plan.run, cut.slices()[rank], weights[rank], wiring));
  }
  plan.one_chip = chip_memory(image, plan.run, Slice::whole(plan.config), {});
  if (options.memory_bytes) require_memory(plan, image, options, path);
  plan_token(plan, image, cut.slices());
  advise(plan);
  return plan;
}

}  // namespace mote::host
