// SPDX-License-Identifier: Apache-2.0
// The options of `mote run` that spread a model over chips.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cluster/in_process.hpp"
#include "cluster/remote_cluster.hpp"

namespace mote::host {

struct ClusterOptions {
  std::uint32_t chips = 0;  // in this process; 0: none
  std::string policy = "contiguous";
  std::string topology = "ring";
  std::vector<std::uint32_t> weights;  // of the chips in this process; empty: equal
  std::vector<std::string> nodes;      // addresses
  std::uint32_t own_weight = 0;        // of this program beside the nodes
  double timeout_s = 2;
  double wait_s = 5;
  double give_up_s = 60;
  std::string stats_path;

  void add_to(CLI::App& command);
  bool is_used() const { return chips != 0 || !nodes.empty(); }

  /// Throws `Error` that names the option where they do not go together.
  InProcessOptions in_process(const RunConfig& run) const;
  /// Throws `Error` for what is no address.
  RemoteOptions remote(const RunConfig& run) const;

 private:
  void add_chip_options(CLI::App& command);
  void add_node_options(CLI::App& command);
};

}  // namespace mote::host
