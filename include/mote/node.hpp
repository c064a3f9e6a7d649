// SPDX-License-Identifier: Apache-2.0
// One chip of a cluster: the phases of a model over one slice, without input, output or clock.
// Bytes and the time go in; frames and tokens come out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/all_gather.hpp"
#include "mote/arena.hpp"
#include "mote/frame.hpp"
#include "mote/image.hpp"
#include "mote/message.hpp"
#include "mote/partition.hpp"
#include "mote/sampler.hpp"
#include "mote/share.hpp"
#include "mote/status.hpp"
#include "mote/transformer.hpp"

namespace mote {

/// Times in microseconds, by whatever clock the caller has.
struct ClusterTiming {
  /// An exchange that has waited so long tells its neighbours what it misses. More than a round
  /// trip of the longest exchange.
  std::uint64_t retry_us = 200'000;
  /// A chip says that it lives so often.
  std::uint64_t heartbeat_us = 250'000;
  /// A chip that is not heard for so long has failed. More than its longest phase.
  std::uint64_t silence_us = 2'000'000;
};

/// How a chip is wired and who it is.
struct NodeConfig {
  Topology topology = Topology::ring;
  std::uint32_t seats = 1;            // 1 to kMaxChips
  std::uint32_t seat = 0;             // below seats
  std::uint32_t hub = 0;              // star: the seat in the middle
  std::uint32_t coordinator = 0;      // the seat that opens sessions
  std::uint32_t frame_bytes = 512;    // the largest frame of any link, kMinFrameBytes or more
  std::uint32_t verify_interval = 0;  // tokens between two checks of the image; 0: never
  std::uint8_t weight = 1;            // relative speed; 0: relays only
  std::uint64_t identity = 0;
  std::uint32_t boot = 0;  // another number after each start
  ClusterTiming timing;
};

/// What the coordinator's node knows of a seat.
struct SeatRecord {
  bool is_known = false;  // `hello` holds
  bool is_fresh = false;  // a hello has come since the flag was cleared
  bool has_error = false;
  std::uint64_t heard_us = 0;
  Hello hello;
  ErrorMessage error;
};

/// Counters since `init`.
struct PortCounters {
  std::uint64_t frames = 0;          // sent
  std::uint64_t bytes = 0;           // sent, framed
  std::uint64_t payload_bytes = 0;   // of those, items of exchanges
  std::uint64_t repeated_bytes = 0;  // payload sent again
};

/// The largest part of a text that a session carries: 13 bits of items with 8 tokens each.
inline constexpr std::uint32_t kMaxClusterText = 65528;

/// In a session, chips go through the same sequence of exchanges: the text, then the exchanges of
/// each pass. Every chip speaks in every exchange, if only to say that it has nothing. So what
/// arrives of exchange e + 1 proves that all chips have completed e - 1, and two exchanges at most
/// are under way, in different memory: whatever a neighbour misses is sent again from where it
/// stands. Nothing is queued or copied, and no acknowledgement is needed while all goes well.
///
/// A caller loops: `receive` what came, `tick`, `work` while `has_work`, then `transmit` until it
/// returns 0. No two calls may overlap, with one exception: `compute`, the long part of `work`,
/// leaves what `receive`, `tick` and `transmit` touch alone, so that these may interrupt it (an
/// interrupt handler, a second core) and pass on what others need.
class TensorParallelNode {
 public:
  TensorParallelNode() = default;

  /// Bytes of arena for a session over `slice` in a cluster of `config`.
  static std::size_t arena_bytes(const Image& image, const NodeConfig& config, const RunConfig& run,
                                 const Slice& slice);

  /// `image` is open; it, `arena` and `seats` outlive this. `bad_cluster_config` where a member of
  /// `config` is out of range, `arena_too_small` where not even the ports fit.
  ///   seats  (config.seats) records for the coordinator's node; else empty
  Status init(const Image& image, const NodeConfig& config, std::span<std::byte> arena,
              std::span<SeatRecord> seats, std::uint64_t now_us);

  std::uint32_t port_count() const { return static_cast<std::uint32_t>(ports_.size()); }
  /// Bytes that came in by `port`, in pieces of any size.
  void receive(std::uint32_t port, std::span<const std::uint8_t> bytes, std::uint64_t now_us);
  /// Lets time pass; call it at least every quarter of timing.retry_us.
  void tick(std::uint64_t now_us);
  /// The next frame to send by `port`; 0 where there is none.
  ///   out  config.frame_bytes long
  std::size_t transmit(std::uint32_t port, std::span<std::uint8_t> out);

  /// Whether `work` has something to compute.
  bool has_work() const;
  /// The phase whose blocks `work` will compute, for a caller that models time; Exchange::embed
  /// where it costs next to nothing.
  Phase next_work() const;
  /// Takes the exchange that is whole, if one is, and computes this chip's part of the next.
  void work(std::uint64_t now_us);
  /// `work` in three parts, the first and the last short. Where `start_work` returns false there is
  /// nothing to compute and the others must not follow.
  bool start_work(std::uint64_t now_us);
  void compute();
  void finish_work();

  /// Opens a session, on the coordinator's node. Other statuses than `ok` say why this chip cannot
  /// take part; then it is in no session.
  ///   text  (ready.tokens) the text so far
  Status open_session(std::uint8_t session, const Ready& ready, std::span<const std::uint32_t> text,
                      std::uint64_t now_us);
  void close_session();
  /// No pass begins once the text has so many tokens.
  void set_text_limit(std::uint32_t tokens) { text_limit_ = tokens; }

  bool is_in_session() const { return in_session_; }
  std::uint8_t session() const { return session_; }
  /// Exchanges of the session so far.
  std::uint32_t sequence() const { return sequence_; }
  /// The text of the session: what `open_session` gave, and the tokens drawn since.
  std::span<const std::uint32_t> text() const { return text_.first(text_count_); }
  /// All positions of the context are taken.
  bool is_full() const;
  /// Whether the exchange under way lacks something of other chips, and of whom.
  bool is_waiting() const { return in_session_ && is_computed_ && !is_idle_ && !has_work(); }
  SeatMask missing_seats() const;
  /// `image_damaged` once a check of the image has failed: the chip takes part no more.
  Status failure() const { return failure_; }

  const NodeConfig& config() const { return config_; }
  const Image& image() const { return image_; }
  const PortCounters& counters(std::uint32_t port) const { return ports_[port].counters; }
  std::uint32_t damaged_frames() const;
  const Partition& partition() const { return partition_; }
  const Transformer& transformer() const { return transformer_; }
  /// What the last token was drawn from: the best of all chips, best first; until the next draw.
  std::span<const Candidate> candidates() const { return candidates_; }

 private:
  struct Port {
    FrameReader reader;
    PortCounters counters;
    std::uint64_t asked_us = 0;  // last time that a gap made an acknowledgement due
    bool is_ack_due = false;
  };
  /// One exchange under way. A share's progress counts its items, or 1 for a barrier.
  struct Slot {
    bool is_open = false;
    std::uint32_t sequence = 0;
    Step step;
    SeatMask barriers = 0;               // ranks that have nothing for the exchange
    std::span<std::uint16_t> received;   // (ranks)
    std::span<std::uint16_t> sent;       // (ports, ranks)
    std::span<std::uint16_t> sent_once;  // (ports, ranks) the most that `sent` has been
  };
  /// A message of another chip on its way through.
  struct Forwarded {
    SeatMask ports = 0;  // that it is still to leave by
    std::uint16_t bytes = 0;
    std::array<std::uint8_t, kMinFrameBytes> message{};
  };
  static constexpr std::size_t kForwarded = 4;

  /// What a session keeps besides the transformer.
  struct SessionMemory {
    std::span<Range> hidden_table;
    std::array<Slot, 2> slots;
    std::span<std::uint32_t> text;
    std::span<Candidate> merged;
    SharedMemory shared;
  };

  // Session and computing (node.cpp).
  static SessionMemory lay_out_session(Arena& arena, const Image& image, const RunConfig& run,
                                       std::uint32_t ranks, std::uint32_t ports);
  Status take_members(const Ready& ready);
  Status check_ready(const Ready& ready) const;
  Slot& slot(std::uint32_t sequence) { return slots_[sequence & 1]; }
  const Slot& slot(std::uint32_t sequence) const { return slots_[sequence & 1]; }
  Slot& open_slot(std::uint32_t sequence, const Step& step);
  Share share(const Step& step, std::uint32_t rank) const;
  bool has_all(const Slot& slot, std::uint32_t rank) const;
  bool is_complete(const Slot& slot) const;
  bool can_begin() const;
  bool predict_next(Step& next) const;
  Step next_batch(std::uint32_t position) const;
  bool finish_step();
  bool finish_text();
  void finish_candidates();
  void drop_what_cannot_be(Slot& slot);
  void begin_step(const Step& step);
  void compute_candidates();
  bool is_image_whole() const;
  void fail(Status status);

  // Messages in (node_receive.cpp).
  void take_message(std::uint32_t port, std::span<const std::uint8_t> message,
                    std::uint64_t now_us);
  void take_control(std::uint32_t port, const MessageHeader& header,
                    std::span<const std::uint8_t> message, std::uint64_t now_us);
  void take_ready(const MessageHeader& header, const Ready& ready, std::uint64_t now_us);
  void leave_session(const MessageHeader& header, std::uint32_t boot);
  void take_ack(std::uint32_t port, const MessageHeader& header,
                std::span<const std::uint8_t> payload);
  void take_items(std::uint32_t port, const MessageHeader& header,
                  std::span<const std::uint8_t> payload, std::uint64_t now_us);
  void forward(std::uint32_t port, const MessageHeader& header,
               std::span<const std::uint8_t> message);
  void note_version(const MessageHeader& header, std::span<const std::uint8_t> message,
                    std::uint64_t now_us);
  Slot* slot_of(std::uint16_t sequence);

  // Messages out (node_transmit.cpp).
  std::size_t make_control(std::span<std::uint8_t> out);
  std::size_t make_ack(std::span<std::uint8_t> out);
  std::size_t make_items(std::span<std::uint8_t> out, std::uint32_t port, Slot& slot,
                         std::uint32_t rank);
  std::size_t make_next_items(std::span<std::uint8_t> out, std::uint32_t port);
  std::size_t make_message(std::span<std::uint8_t> out, std::uint32_t port);
  void schedule_control(std::uint64_t now_us);

  std::uint32_t ranks() const { return partition_.chips(); }
  bool is_coordinator() const { return config_.seat == config_.coordinator; }

  NodeConfig config_;
  Image image_;
  std::span<std::byte> arena_;
  std::span<SeatRecord> seats_;
  std::span<Port> ports_;
  std::size_t session_offset_ = 0;  // of the arena: what a session may use
  std::size_t message_bytes_ = 0;   // the largest message
  std::array<Forwarded, kForwarded> forwarded_{};
  std::uint32_t next_forwarded_ = 0;  // of `forwarded_`, the oldest
  std::uint32_t control_count_ = 0;   // own messages about itself so far
  SeatMask control_ports_ = 0;        // by which the own message about itself is still to leave
  std::uint64_t control_us_ = 0;
  std::uint64_t coordinator_heard_us_ = 0;
  bool is_refusing_ = false;
  bool says_error_ = false;  // in the next message about itself
  ErrorMessage refusal_;
  Status failure_ = Status::ok;

  bool in_session_ = false;
  std::uint8_t session_ = 0;
  bool had_session_ = false;  // `session_` of `coordinator_boot_` has been opened or passed over
  std::uint32_t coordinator_boot_ = 0;
  Ready ready_;
  std::uint32_t rank_ = 0;
  std::array<std::uint8_t, kMaxChips> rank_of_seat_{};  // kNoRank where it is no member
  Routes routes_;
  Partition partition_;
  std::span<Range> hidden_table_;
  Transformer transformer_;
  Sampler sampler_;
  SharedMemory shared_;
  std::span<Candidate> merged_;  // (k)
  std::span<const Candidate> candidates_;
  std::span<std::uint32_t> text_;  // (context length + 1)
  std::uint32_t text_count_ = 0;
  std::uint32_t text_limit_ = 0xffffffffU;
  std::array<Slot, 2> slots_{};
  std::uint32_t sequence_ = 0;
  bool is_working_ = false;     // between start_work and finish_work: no session opens or ends
  bool is_to_advance_ = false;  // `compute` begins by taking the exchange before
  bool is_damaged_ = false;     // what `compute` found of the image
  bool is_computed_ = false;    // own share of the current exchange
  bool has_missed_ = false;     // something of the next exchange came before it could be placed
  bool is_idle_ = false;        // the current exchange is done and the next pass has not begun
  std::uint64_t progress_us_ = 0;
  std::uint64_t wait_us_ = 0;  // until the next acknowledgement; grows while nothing comes
};

}  // namespace mote
