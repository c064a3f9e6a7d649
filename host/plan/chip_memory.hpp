// SPDX-License-Identifier: Apache-2.0
// The bytes that each chip of a cluster needs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "mote/image.hpp"
#include "mote/node.hpp"
#include "mote/partition.hpp"
#include "mote/transformer.hpp"

namespace mote::host {

/// A partition with the memory that it refers to.
class ClusterCut {
 public:
  /// `weights` are those of 1 to kMaxChips chips. Throws `Error` where one exceeds 255 or all are
  /// 0.
  ClusterCut(const ModelConfig& config, HeadPolicy policy, std::span<const std::uint32_t> weights);

  /// They refer to this. // (chips)
  std::span<const Slice> slices() const { return slices_; }

 private:
  std::vector<Range> table_;
  std::vector<Slice> slices_;
};

struct ChipMemory {
  std::uint64_t weight_bytes = 0;  // matrices with their scales, biases, gains of the final norm
  std::uint64_t state_bytes = 0;   // KV cache, or sums; part of the arena
  std::uint64_t arena_bytes = 0;

  std::uint64_t total_bytes() const { return weight_bytes + arena_bytes; }
  /// RAM alone: weights are read from flash unless they are copied.
  std::uint64_t ram_bytes(bool weights_in_ram) const {
    return arena_bytes + (weights_in_ram ? weight_bytes : 0);
  }
};

/// `image` holds the whole model; `slice` is a part of it. The arena is that of a node in a cluster
/// of `wiring.seats` chips, or of the model alone where there is one.
ChipMemory chip_memory(const Image& image, const RunConfig& run, const Slice& slice,
                       const NodeConfig& wiring);

/// The largest need of RAM among equal chips.
struct ClusterNeed {
  std::uint32_t chips = 0;
  std::uint64_t ram_bytes = 0;
};

/// The number of equal chips nearest to `chips` where each needs at most `memory_bytes` of RAM:
/// first upward to kMaxChips, then downward. Where there is none, `least` is the one that needs
/// least.
std::optional<ClusterNeed> find_fitting_cluster(ClusterNeed& least, const Image& image,
                                                const RunConfig& run, HeadPolicy policy,
                                                Topology topology, std::uint32_t chips,
                                                std::uint64_t memory_bytes, bool weights_in_ram);

}  // namespace mote::host
