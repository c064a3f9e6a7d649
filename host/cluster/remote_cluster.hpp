// SPDX-License-Identifier: Apache-2.0
// A cluster whose chips are reached by links: this program drives it from the middle of a star.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/chip.hpp"
#include "cluster/remote_chip.hpp"
#include "cluster/work_meter.hpp"
#include "mote/coordinator.hpp"
#include "mote/node.hpp"
#include "transport/address.hpp"

namespace mote::host {

struct RemoteOptions {
  std::vector<Address> chips;  // of seats 1, 2, ...; the driver has seat 0
  HeadPolicy policy = HeadPolicy::contiguous;
  std::uint8_t weight = 0;  // of the driver's own share; 0: it only drives
  RunConfig run;
  /// A chip that has not been heard for so long has failed. A link that is closed is noticed at
  /// once.
  std::uint64_t timeout_us = 2'000'000;
  /// How long to wait for all chips at the beginning.
  std::uint64_t wait_us = 5'000'000;
  /// An answer that has had no new token for so long has failed.
  std::uint64_t give_up_us = 60'000'000;
  /// Gets a line about chips that are lost and come back.
  std::function<void(std::string_view)> say = [](std::string_view) {};
};

/// The driver's image is the whole model, with which it goes on alone when all chips have failed,
/// or a shard, whose rank it takes. A chip that comes back takes part in the session that follows
/// the next loss, or in the next answer.
class RemoteCluster {
 public:
  /// Opens the links and waits for the chips. `image` outlives this. Throws `Error` where no chip
  /// is there, where one holds another model, or where those that are there cannot hold the model.
  RemoteCluster(const Image& image, const RemoteOptions& options);
  RemoteCluster(const RemoteCluster&) = delete;
  RemoteCluster& operator=(const RemoteCluster&) = delete;

  /// Begins an answer of the chips that are there. Throws `Error` where the text does not fit.
  void start(std::span<const std::uint32_t> text, const SamplerConfig& sampler,
             std::uint32_t max_tokens);
  /// Runs until the text has a new token or the answer has ended; true for a new token. Throws
  /// `Error` that names the chip where the answer has failed, or where a chip refuses to begin.
  bool next_token();
  std::span<const std::uint32_t> text() const { return coordinator_.text(); }
  void stop() { coordinator_.stop(); }

  /// Looks after the links, between answers too, until so many chips are there; false where they
  /// are not within `wait_us`.
  bool wait_for_chips(std::size_t count, std::uint64_t wait_us);
  /// Chips that are there.
  std::size_t chips() const;
  /// Chips of the session that have a share.
  std::size_t members() const;
  const Coordinator& coordinator() const { return coordinator_; }
  const TensorParallelNode& node() const { return node_; }
  /// Of the driver, since the answer began.
  WorkStats stats() const { return totals() - before_; }

 private:
  WorkStats totals() const;
  void run_round(std::uint64_t most_wait_us);
  void wait(std::uint64_t most_wait_us);
  void receive(std::uint64_t now_us);
  void compute(std::uint64_t now_us);
  void poll_coordinator(std::uint64_t now_us);
  void send(std::uint64_t now_us);
  void tell_arrivals();
  void tell_loss(std::uint64_t now_us);
  bool is_there(const RemoteChip& chip) const;
  bool has_input() const;
  void lose_line(std::uint32_t port);
  void check_chips() const;
  std::string complaint_about(const RemoteChip& chip) const;

  RemoteOptions options_;
  ArenaMemory memory_;
  std::vector<SeatRecord> seats_;
  std::vector<std::uint32_t> text_memory_;
  TensorParallelNode node_;
  Coordinator coordinator_;
  std::vector<std::unique_ptr<RemoteChip>> chips_;
  std::vector<bool> was_there_;    // (chips)
  std::vector<bool> is_readable_;  // (chips)
  bool is_set_up_ = false;
  std::size_t given_ = 0;  // tokens of the text that `start` got
  std::size_t told_ = 0;   // tokens of the text that next_token has returned
  WorkMeter meter_;
  std::uint64_t tokens_ = 0;  // drawn in all answers
  WorkStats before_;
};

}  // namespace mote::host
