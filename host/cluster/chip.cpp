// SPDX-License-Identifier: Apache-2.0
#include "cluster/chip.hpp"

#include "run/engine.hpp"

namespace mote::host {
namespace {

std::size_t bytes_or_most(std::size_t bytes, const Image& image, const NodeConfig& config,
                          const RunConfig& run) {
  if (bytes != 0) return bytes;
  return TensorParallelNode::arena_bytes(image, config, run, image.held());
}

}  // namespace

Chip::Chip(const Image& image, const NodeConfig& config, const CoordinatorConfig& coordinator,
           const RunConfig& run, std::uint64_t now_us, std::size_t arena_bytes)
    : memory_(bytes_or_most(arena_bytes, image, config, run)) {
  if (config.seat == config.coordinator) {
    seats_.resize(config.seats);
    text_.resize(std::size_t{run.context_length} + 1);
  }
  check(node_.init(image, config, memory_.span(), seats_, now_us), "a chip of the cluster");
  coordinator_ = Coordinator(node_, seats_, text_, coordinator);
}

bool Chip::advance(std::uint64_t now_us) {
  node_.tick(now_us);
  if (has_coordinator()) coordinator_.poll(now_us);
  if (!node_.has_work()) return false;
  node_.work(now_us);
  if (has_coordinator()) coordinator_.poll(now_us);
  return true;
}

}  // namespace mote::host
