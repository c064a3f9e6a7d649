// SPDX-License-Identifier: Apache-2.0
// Boards under emulators, and the wires between them.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "board/catalogue.hpp"
#include "board/console.hpp"
#include "board/emulator.hpp"
#include "board/wire.hpp"
#include "cluster/wiring.hpp"

namespace mote::host {

struct VirtualClusterConfig {
  std::vector<const BoardEntry*> boards;  // (chips) they outlive the cluster
  std::vector<std::string> images;        // (chips) paths
  std::string program;                    // "one_chip" or "cluster_node"
  Topology topology = Topology::ring;     // ring or star; seat 0 is the hub
  WireConfig wire;
  std::uint64_t seed = 1;                        // of the wires' damage
  bool counts_work = false;                      // with the words that make counted work exact
  const std::atomic<bool>* must_stop = nullptr;  // which a signal may set
};

/// Both directions between two links.
struct WirePair {
  PortAddress a;
  PortAddress b;
  Wire from_a;
  Wire from_b;
};

/// Chips that compute at whatever speed their emulators have; all times are this computer's.
class VirtualCluster {
 public:
  /// Throws `Error` where a board lacks the program, links or room. Starts nothing.
  explicit VirtualCluster(VirtualClusterConfig config);

  std::size_t size() const { return config_.boards.size(); }
  /// "chip 2 (mps2_an386)".
  std::string chip_name(std::size_t chip) const;
  const BoardEntry& board(std::size_t chip) const { return *config_.boards[chip]; }
  Console& console(std::size_t chip) { return *chips_[chip].console; }

  /// All chips in one process, so that their wires are not here, and no chip can be killed alone.
  bool is_lockstep() const { return !config_.boards.front()->lockstep.empty(); }
  /// Starts one chip's emulator; in lock step chip 0 starts all.
  void start(std::size_t chip);
  /// Ends its emulator at once; what is on its way to or from it is lost.
  void kill(std::size_t chip);

  /// Moves bytes for up to `wait_us`; returns earlier where something has happened. Throws `Error`
  /// where an emulator has ended by itself, or once it is to stop.
  void pump(std::uint64_t wait_us);

  /// Empty in lock step.
  const std::vector<WirePair>& wires() const { return wires_; }

 private:
  struct VirtualChip {
    std::unique_ptr<Emulator> emulator;
    std::unique_ptr<Console> console;
    std::vector<std::unique_ptr<Link>> links;  // null while it does not run
  };

  void connect_wires();
  CommandWords command(std::size_t chip, int console_fd, const std::vector<int>& link_fds);
  CommandWords lockstep_command(const std::vector<int>& console_fds);
  void start_alone(std::size_t chip);
  void start_lockstep();
  Link* link_at(const PortAddress& address);
  void carry(Wire& wire, const PortAddress& from, const PortAddress& to, std::uint64_t now_us);
  void wait(std::uint64_t wait_us);
  void watch(std::vector<pollfd>& polled, std::uint64_t& next_us, const Wire& wire,
             const PortAddress& from, const PortAddress& to);

  VirtualClusterConfig config_;
  std::vector<VirtualChip> chips_;
  std::vector<WirePair> wires_;
  std::uint64_t starts_ = 0;
  std::uint64_t look_us_ = 0;  // whether emulators live: not before
};

}  // namespace mote::host
