// SPDX-License-Identifier: Apache-2.0
// A chip under virtual time: the node that devices run, with an image of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "cluster/chip.hpp"
#include "mote/image.hpp"
#include "simulate/network.hpp"

namespace mote::host {

/// Bytes at the alignment of an image.
class ImageMemory {
 public:
  explicit ImageMemory(std::span<const std::uint8_t> bytes);
  std::span<std::uint8_t> span() { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const {
      ::operator delete[](memory, std::align_val_t{kSectionAlignment});
    }
  };
  std::unique_ptr<std::uint8_t[], Free> memory_;
  std::size_t size_ = 0;
};

/// What a chip is made of.
struct ChipSpec {
  std::span<const std::uint8_t> image;  // whole or a shard; outlives the simulation
  std::uint8_t weight = 1;
  double speed = 1;  // times that of the simulation's clock
};

class SimulatedChip {
 public:
  SimulatedChip(const ChipSpec& spec, const NodeConfig& config,
                const CoordinatorConfig& coordinator, const RunConfig& run);

  /// Starts with a boot number of its own. An image that is damaged does not start.
  void power_on(std::uint64_t now_us);
  void power_off();
  bool is_on() const { return chip_ != nullptr; }
  /// Only while it is on.
  TensorParallelNode& node() { return chip_->node(); }
  Coordinator& coordinator() { return chip_->coordinator(); }
  bool has_coordinator() const { return chip_ != nullptr && chip_->has_coordinator(); }
  std::uint32_t boot() const { return config_.boot; }

  /// False where the bit is one that the chip cannot run on without: then it has stopped.
  bool flip_image_bit(std::uint64_t bit);
  void renew_image();
  bool has_damaged_image() const { return is_damaged_; }

  const ChipSpec& spec() const { return spec_; }
  /// Multiply-accumulates that the next work will take, and those of the whole model instead of
  /// this chip's rows.
  std::uint64_t next_macs() const { return next_macs(chip_->node().transformer().slice()); }
  std::uint64_t next_macs_of_all() const { return next_macs(Slice::whole(image_.config())); }

  /// What the simulation keeps of a computation.
  struct Work {
    bool is_under_way = false;
    std::uint32_t number = 0;  // of the work, and of the chip's life
    std::uint64_t stolen_ns = 0;
    std::uint64_t begin_ns = 0;
    std::uint8_t session = 0;
    std::uint32_t sequence = 0;
    Exchange exchange = Exchange::embed;
    double even_ns = 0;
  };
  Work work;
  std::uint64_t handler_free_ns = 0;  // when the processor has set up its last frame
  std::uint32_t slowness = 1;
  std::vector<Frame> inbox;  // frames that came while a single context computed

 private:
  bool is_structure(std::uint64_t byte) const;
  std::uint64_t next_macs(const Slice& slice) const;

  ChipSpec spec_;
  NodeConfig config_;
  CoordinatorConfig coordinator_;
  RunConfig run_;
  ImageMemory memory_;
  Image image_;
  bool is_damaged_ = false;
  std::unique_ptr<Chip> chip_;
};

}  // namespace mote::host
