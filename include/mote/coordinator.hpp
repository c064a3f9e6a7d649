// SPDX-License-Identifier: Apache-2.0
// Who takes part in an answer, and what happens when a chip fails: opens sessions from one seat,
// without input, output or clock.
#pragma once

#include <cstdint>
#include <span>

#include "mote/node.hpp"

namespace mote {

struct CoordinatorConfig {
  HeadPolicy policy = HeadPolicy::contiguous;
  /// How long to wait for all seats before a session opens with those that are there.
  std::uint64_t forming_us = 1'000'000;
  /// An answer that has had no new token for so long ends with an error.
  std::uint64_t give_up_us = 60'000'000;
  /// A session whose exchange has stood still for so long, though all chips are heard, is opened
  /// anew.
  std::uint64_t stall_us = 10'000'000;
  /// Where no chip of weight above 0 is left and the own image is whole: go on alone.
  bool works_alone = true;
};

/// What is asked of a cluster.
struct AnswerRequest {
  RunConfig run;
  SamplerConfig sampler;
  std::uint32_t max_tokens = 0;  // to be drawn
};

/// Drives the node of the coordinator's seat. A session is opened over all chips that are heard,
/// hold the same model and can take their ranks. When one of them fails, falls silent or starts
/// anew, the text so far becomes the text of a new session over the chips that are left: keys and
/// values are computed again from the tokens, and the sampler's generator goes on where it was, so
/// that the tokens are those of an undisturbed run. A chip that was lost is taken in again by the
/// next session after its hello.
///
/// Chips with a whole image take any rank. Chips with shards take their own; the missing ranks go
/// to chips with whole images, and as long as one is not filled no session opens.
class Coordinator {
 public:
  enum class State : std::uint8_t { idle, forming, running, done, failed };

  Coordinator() = default;
  /// `node` is initialised with `seats` and outlives this, as does `memory`.
  ///   memory  room for the text: the context length + 1 at most
  Coordinator(TensorParallelNode& node, std::span<SeatRecord> seats,
              std::span<std::uint32_t> memory, const CoordinatorConfig& config)
      : config_(config), node_(&node), seats_(seats), text_(memory), session_(node.session()) {}

  /// Begins an answer. `context_full` where `text` and one more token do not fit `memory` or the
  /// request's context; then nothing has changed.
  Status start(std::span<const std::uint32_t> text, const AnswerRequest& request,
               std::uint64_t now_us);
  /// Ends the answer; the chips wait for the next.
  void stop();
  /// Takes new tokens, looks after the chips. Call it after each round of the node.
  void poll(std::uint64_t now_us);
  /// The link to a seat is down: the same as silence, at once.
  void seat_down(std::uint32_t seat);

  State state() const { return state_; }
  /// The text given and drawn so far.
  std::span<const std::uint32_t> text() const { return text_.first(text_count_); }
  /// Why the answer failed, and which seat is to blame.
  const ErrorMessage& failure() const { return failure_; }
  /// The last chip that was lost, and why; status ok where none was.
  const ErrorMessage& last_loss() const { return last_loss_; }
  std::uint32_t sessions() const { return sessions_; }
  /// Members of the session.
  const Ready& ready() const { return ready_; }

 private:
  bool is_usable(std::uint32_t seat, std::uint64_t now_us);
  bool choose_members(std::uint64_t now_us);
  bool choose_shards(SeatMask usable);
  SeatMask connected(SeatMask usable) const;
  std::uint32_t find_holder(SeatMask left, std::uint32_t chips, std::uint32_t rank) const;
  void add_member(std::uint32_t seat, std::uint8_t weight);
  std::uint8_t weight_of(std::uint32_t seat, std::uint32_t rank) const;
  void form(std::uint64_t now_us);
  void open(std::uint64_t now_us);
  void take_tokens(std::uint64_t now_us);
  void check_members(std::uint64_t now_us);
  void lose(std::uint32_t seat, const ErrorMessage& error, std::uint64_t now_us);
  void fail(const ErrorMessage& error);
  ErrorMessage error_of(Status status, std::uint32_t seat) const;

  CoordinatorConfig config_;
  TensorParallelNode* node_ = nullptr;
  std::span<SeatRecord> seats_;
  std::span<std::uint32_t> text_;
  std::uint32_t text_count_ = 0;
  std::uint32_t given_ = 0;  // tokens of the text that were not drawn
  AnswerRequest request_;
  State state_ = State::idle;
  Ready ready_;
  std::uint8_t session_ = 0;
  std::uint32_t sessions_ = 0;
  std::array<std::uint32_t, kMaxChips> boots_{};  // of the members when the session opened
  SeatMask barred_ = 0;                           // seats whose errors bar them until they restart
  SeatMask stalled_ = 0;                          // seats left out until a token is drawn
  std::uint64_t forming_since_us_ = 0;
  std::uint64_t token_us_ = 0;
  std::uint64_t sequence_us_ = 0;
  std::uint32_t sequence_ = 0;
  ErrorMessage failure_;
  ErrorMessage last_loss_;
};

}  // namespace mote
