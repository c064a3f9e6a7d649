// SPDX-License-Identifier: Apache-2.0
// A cluster whose chips are objects of one program, wired by memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/chip.hpp"
#include "cluster/wiring.hpp"

namespace mote::host {

struct InProcessOptions {
  Topology topology = Topology::ring;
  HeadPolicy policy = HeadPolicy::contiguous;
  std::uint32_t hub = 0;
  std::uint32_t frame_bytes = 512;
  std::vector<std::uint8_t> weights;  // of each seat; empty: all equal
  RunConfig run;
};

/// Chips in one process; seat 0 is the coordinator's. Frames arrive at once and whole, time is a
/// count of rounds.
class InProcessCluster {
 public:
  /// One image a seat, whole or a shard, which outlive this.
  InProcessCluster(const std::vector<const Image*>& images, const InProcessOptions& options);

  /// `sampler` is that of the answer. Throws `Error` where the text does not fit.
  void start(std::span<const std::uint32_t> text, const SamplerConfig& sampler,
             std::uint32_t max_tokens);
  /// Runs until the text has a new token or the answer has ended; true for a new token. Throws
  /// `Error` where the answer has failed.
  bool next_token();
  std::span<const std::uint32_t> text() { return chip(0).coordinator().text(); }
  void stop() { chip(0).coordinator().stop(); }

  std::size_t size() const { return chips_.size(); }
  Chip& chip(std::size_t seat) { return *chips_[seat]; }
  const Chip& chip(std::size_t seat) const { return *chips_[seat]; }

 private:
  void round();
  void carry(std::uint32_t seat, std::uint32_t port);

  InProcessOptions options_;
  std::vector<std::unique_ptr<Chip>> chips_;
  std::vector<std::uint8_t> frame_;
  std::size_t told_ = 0;  // tokens of the text that next_token has returned
  std::uint64_t now_us_ = 1;
};

/// What an error of a cluster says: the status and the chips that it names.
std::string describe(const ErrorMessage& error);

}  // namespace mote::host
