// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_options.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "cli/cluster_names.hpp"
#include "plan/link.hpp"
#include "shard/shard_summary.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// Seconds from "2s" or "500ms"; a number alone is seconds.
CLI::Validator as_seconds() {
  const std::map<std::string, double> units = {{"s", 1.0}, {"ms", 0.001}};
  return CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_OPTIONAL, "TIME");
}

std::uint64_t to_us(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e6);
}

}  // namespace

void ClusterOptions::add_chip_options(CLI::App& command) {
  command.add_option("--chips", chips, "Compute as so many chips, all in this program")
      ->check(CLI::Range(1U, kMaxChips));
  command.add_option("--topology", topology, "How the chips of --chips are wired")
      ->capture_default_str()
      ->check(CLI::IsMember(kTopologies))
      ->needs("--chips");
  command
      .add_option("--weights-of-chips", weights,
                  "Relative speeds of the chips of --chips, 0 to 255; equal if not given")
      ->delimiter(',')
      ->check(CLI::Range(0U, 255U))
      ->needs("--chips");
  command
      .add_option("--policy", policy,
                  "How heads are dealt; contiguous: those that share keys stay together, "
                  "round-robin: head h on chip h mod N")
      ->capture_default_str()
      ->check(CLI::IsMember(kPolicies));
}

void ClusterOptions::add_node_options(CLI::App& command) {
  command
      .add_option("--nodes", nodes,
                  "Chips that `mote node` serves: tcp://HOST:PORT or serial://DEVICE?baud=RATE, "
                  "separated by commas")
      ->delimiter(',')
      ->excludes("--chips");
  command
      .add_option("--weight", own_weight,
                  "Relative speed of this program beside the nodes; 0: it only drives them")
      ->capture_default_str()
      ->check(CLI::Range(0U, 255U))
      ->needs("--nodes");
  command
      .add_option("--timeout", timeout_s,
                  "A node that is silent for so long has failed, such as 2s or 800ms")
      ->capture_default_str()
      ->transform(as_seconds())
      ->check(CLI::Range(0.5, 3600.0))
      ->needs("--nodes");
  command.add_option("--wait", wait_s, "How long to wait for all nodes at the beginning")
      ->capture_default_str()
      ->transform(as_seconds())
      ->check(CLI::Range(0.0, 86400.0))
      ->needs("--nodes");
  command
      .add_option("--give-up", give_up_s,
                  "An answer without a new token for so long has failed, whoever may come back")
      ->capture_default_str()
      ->transform(as_seconds())
      ->check(CLI::Range(0.5, 86400.0))
      ->needs("--nodes");
  command
      .add_option("--stats-json", stats_path,
                  "File that tells where the time of this program went, and bytes a token")
      ->needs("--nodes");
}

void ClusterOptions::add_to(CLI::App& command) {
  add_chip_options(command);
  add_node_options(command);
}

InProcessOptions ClusterOptions::in_process(const RunConfig& run) const {
  if (!weights.empty() && weights.size() != chips) {
    throw Error(fmt::format("--weights-of-chips: {} weights for {} chips", weights.size(), chips));
  }
  if (!weights.empty() && std::ranges::count(weights, 0U) == std::ssize(weights)) {
    throw Error("--weights-of-chips: all are 0; some chip must compute");
  }
  InProcessOptions options;
  options.topology = kTopologies.at(topology);
  options.policy = kPolicies.at(policy);
  for (const std::uint32_t weight : weights) {
    options.weights.push_back(static_cast<std::uint8_t>(weight));
  }
  options.run = run;
  return options;
}

RemoteOptions ClusterOptions::remote(const RunConfig& run) const {
  RemoteOptions options;
  for (const std::string& node : nodes) options.chips.push_back(parse_address(node));
  options.policy = kPolicies.at(policy);
  options.weight = static_cast<std::uint8_t>(own_weight);
  options.run = run;
  options.timeout_us = to_us(timeout_s);
  options.wait_us = to_us(wait_s);
  options.give_up_us = to_us(give_up_s);
  options.say = [](std::string_view line) { fmt::print(stderr, "mote: {}\n", line); };
  return options;
}

}  // namespace mote::host
