// SPDX-License-Identifier: Apache-2.0
// A chip of a cluster as an object of this program: a node with its memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mote/coordinator.hpp"
#include "mote/node.hpp"

namespace mote::host {

/// Memory at the alignment of an arena.
class ArenaMemory {
 public:
  explicit ArenaMemory(std::size_t bytes)
      : bytes_(bytes), units_(std::make_unique<std::max_align_t[]>(count(bytes))) {}
  std::span<std::byte> span() { return {reinterpret_cast<std::byte*>(units_.get()), bytes_}; }

 private:
  static_assert(alignof(std::max_align_t) % kArenaAlignment == 0);
  static std::size_t count(std::size_t bytes) {
    return (bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t);
  }

  std::size_t bytes_;
  std::unique_ptr<std::max_align_t[]> units_;
};

/// A node and, on the coordinator's seat, the coordinator. It may take any rank that its image
/// allows: the arena is as large as that of its largest part (`arena_bytes` 0), or as given.
class Chip {
 public:
  /// `image` outlives this. Throws `Error` where the configuration is out of range.
  Chip(const Image& image, const NodeConfig& config, const CoordinatorConfig& coordinator,
       const RunConfig& run, std::uint64_t now_us, std::size_t arena_bytes = 0);

  TensorParallelNode& node() { return node_; }
  const TensorParallelNode& node() const { return node_; }
  bool has_coordinator() const { return !seats_.empty(); }
  /// Only where has_coordinator().
  Coordinator& coordinator() { return coordinator_; }

  /// Time passes; then one piece of work is done, if there is one. Returns whether there was.
  bool advance(std::uint64_t now_us);

 private:
  ArenaMemory memory_;
  std::vector<SeatRecord> seats_;
  std::vector<std::uint32_t> text_;
  TensorParallelNode node_;
  Coordinator coordinator_;
};

}  // namespace mote::host
