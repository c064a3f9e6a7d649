// SPDX-License-Identifier: Apache-2.0
// The program for one chip of a cluster: it learns its seat, computes its part, and at the
// coordinator's seat answers on its console.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/answer.hpp"
#include "firmware/console.hpp"
#include "firmware/model.hpp"
#include "firmware/node_link.hpp"
#include "mote/coordinator.hpp"
#include "mote/node.hpp"

namespace mote::firmware {

/// Where `seat` does not say: a pass may take a slow board long, and a slow link too.
inline constexpr ClusterTiming kTiming = {250'000, 250'000, 3'000'000};

/// Runs until `reset`, then returns the program's exit status: 0, or 1 where the board's arena
/// cannot hold the program.
int run_cluster_node();

/// A chip that is wired to be told its seat: by the console (`seat`), by the port, or by a seat
/// message on a link. In a ring it tells the next chip the seat that follows, until it hears that
/// chip and again when it has heard nothing of it for a while: so a chip that starts anew gets its
/// seat back.
class ClusterNode {
 public:
  /// `memory` is what the model may use, and `links` (board::link_count()) outlive this.
  ClusterNode(std::span<std::byte> memory, std::span<NodeLink> links)
      : memory_(memory), links_(links) {}

  /// Opens the model, takes the seat that the board was built for, and greets.
  void start();
  /// One round of all that there is to do; false once `reset` has come.
  bool step();

 private:
  /// How a chip got its seat.
  enum class SeatSource : std::uint8_t { none, told, fixed };

  // Commands (cluster_commands.cpp).
  bool take_command();
  bool answer(std::span<char> line);
  void info();
  void report_links();
  void report_link(Report& report, std::uint32_t link);
  void seat(std::string_view line);
  void run(std::span<char> line);
  bool is_ready();
  std::uint32_t fitting_context(const RunRequest& request) const;
  void tell_answer();
  void tell_tokens();
  void tell_losses();
  void finish_answer(AnswerEnd end);
  void fail_answer();

  // Links, seats and work (cluster_node.cpp).
  bool receive(std::uint64_t now_us);
  bool transmit(std::uint64_t now_us);
  bool compute(std::uint64_t now_us);
  bool pump();
  void wait();
  void note_session();
  void look_for_seat(std::uint32_t link, std::span<const std::uint8_t> bytes, std::uint64_t now_us);
  std::size_t text_count() const;
  Status take_seat(const SeatAssignment& seat, std::uint32_t arrival, const ClusterTiming& timing,
                   std::uint64_t now_us);
  /// Where a seat would come from that no link told.
  static std::uint32_t first_link(Topology topology) { return topology == Topology::ring ? 1 : 0; }
  bool is_to_tell(std::uint32_t port, std::uint64_t now_us) const;
  std::uint32_t port_count() const { return has_seat() ? node_.port_count() : 0; }
  std::uint32_t link_of(std::uint32_t port) const;
  bool has_seat() const { return source_ != SeatSource::none; }
  bool is_coordinator() const { return has_seat() && seat_.seat == seat_.coordinator; }

  std::span<std::byte> memory_;
  std::span<NodeLink> links_;
  Console console_;
  Model model_;

  SeatSource source_ = SeatSource::none;
  SeatAssignment seat_;
  std::uint32_t arrival_ = 0;  // the link that the seat came by
  std::uint32_t seats_taken_ = 0;
  std::uint64_t tell_us_ = 0;
  std::span<std::byte> node_memory_;  // of memory_, that of the node
  TensorParallelNode node_;
  Coordinator coordinator_;

  WorkClock clock_;               // of computing
  std::uint64_t waiting_us_ = 0;  // for what other chips compute or for links
  std::uint32_t sessions_ = 0;    // that this chip took part in
  bool was_in_session_ = false;
  std::uint8_t last_session_ = 0;
  RunConfig session_run_;       // of the session that took most memory
  std::size_t used_bytes_ = 0;  // the most that a session has asked of node_memory_

  // The answer under way, at the coordinator's seat.
  bool is_answering_ = false;
  RunRequest request_;
  AnswerWriter writer_;
  std::size_t given_ = 0;
  std::size_t told_ = 0;  // tokens of the text that are told, given or drawn
  std::uint32_t told_sessions_ = 0;
  std::uint64_t start_us_ = 0;
  std::uint64_t first_us_ = 0;
  std::uint64_t start_work_ = 0;
  std::uint64_t first_work_ = 0;
};

}  // namespace mote::firmware
