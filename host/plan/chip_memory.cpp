// SPDX-License-Identifier: Apache-2.0
#include "plan/chip_memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "model/image_shard.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

std::vector<std::uint8_t> checked_weights(std::span<const std::uint32_t> weights) {
  std::vector<std::uint8_t> bytes;
  for (const std::uint32_t weight : weights) {
    if (weight > 255) {
      throw Error(fmt::format("chip {} has weight {}: must be 0 to 255", bytes.size(), weight));
    }
    bytes.push_back(static_cast<std::uint8_t>(weight));
  }
  if (std::count(bytes.begin(), bytes.end(), 0) == static_cast<std::ptrdiff_t>(bytes.size())) {
    throw Error("all chips have weight 0: at least one must have 1 to 255");
  }
  return bytes;
}

ClusterNeed equal_cluster(const Image& image, const RunConfig& run, HeadPolicy policy,
                          Topology topology, std::uint32_t chips, bool weights_in_ram) {
  const ClusterCut cut(image.config(), policy, std::vector<std::uint32_t>(chips, 1));
  ClusterNeed need = {chips, 0};
  NodeConfig wiring;
  wiring.topology = topology;
  wiring.seats = chips;
  for (const Slice& slice : cut.slices()) {
    const ChipMemory memory = chip_memory(image, run, slice, wiring);
    need.ram_bytes = std::max(need.ram_bytes, memory.ram_bytes(weights_in_ram));
  }
  return need;
}

}  // namespace

ClusterCut::ClusterCut(const ModelConfig& config, HeadPolicy policy,
                       std::span<const std::uint32_t> weights) {
  const auto bytes = checked_weights(weights);
  const auto chips = static_cast<std::uint32_t>(bytes.size());
  table_.resize(Partition::table_count(config, chips));
  Partition partition;
  const Status status = partition.init(config, policy, bytes, table_);
  if (status != Status::ok) throw Error(status_text(status));
  for (std::uint32_t rank = 0; rank < chips; ++rank) slices_.push_back(partition.slice(rank));
}

ChipMemory chip_memory(const Image& image, const RunConfig& run, const Slice& slice,
                       const NodeConfig& wiring) {
  ChipMemory memory;
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section section = image.section(i);
    if (section.kind == SectionKind::final_norm) memory.weight_bytes += section.bytes;
    const std::uint32_t rows = held_row_count(section.kind, section.layer, image.config(), slice);
    if (is_bias(section.kind)) memory.weight_bytes += rows * sizeof(std::int32_t);
    if (section.format == WeightFormat::raw) continue;
    memory.weight_bytes +=
        matrix_layout(rows, section.columns, section.block, section.format).bytes;
  }
  memory.state_bytes = Transformer::state_bytes(image, run, slice);
  memory.arena_bytes = wiring.seats > 1 ? TensorParallelNode::arena_bytes(image, wiring, run, slice)
                                        : Transformer::arena_bytes(image, run, slice);
  return memory;
}

std::optional<ClusterNeed> find_fitting_cluster(ClusterNeed& least, const Image& image,
                                                const RunConfig& run, HeadPolicy policy,
                                                Topology topology, std::uint32_t chips,
                                                std::uint64_t memory_bytes, bool weights_in_ram) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t n = chips; n <= kMaxChips; ++n) order.push_back(n);
  for (std::uint32_t n = chips; n-- > 1;) order.push_back(n);
  least = {};
  for (const std::uint32_t n : order) {
    const ClusterNeed need = equal_cluster(image, run, policy, topology, n, weights_in_ram);
    if (need.ram_bytes <= memory_bytes) return need;
    if (least.chips == 0 || need.ram_bytes < least.ram_bytes) least = need;
  }
  return std::nullopt;
}

}  // namespace mote::host
