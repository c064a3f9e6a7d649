// SPDX-License-Identifier: Apache-2.0
// Links, seats and work. The console is in cluster_commands.cpp.
#include "firmware/cluster_node.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "firmware/board.hpp"
#include "mote/arena.hpp"

namespace mote::firmware {
namespace {

/// Bytes that are read of a link at once.
constexpr std::size_t kReadBytes = 128;
/// A neighbour that does not answer is told its seat so often, once it has been silent so long: a
/// chip with a seat sends more often, unless it computes, and then does no harm to be told again.
constexpr std::uint64_t kTellEachUs = 200'000;
constexpr std::uint64_t kSilentUs = 1'000'000;

/// Forming waits for chips that are just starting; standing still is noticed later than on a
/// computer, since a pass may take seconds.
constexpr CoordinatorConfig kCoordinator = {HeadPolicy::contiguous, 10'000'000, 120'000'000,
                                            20'000'000, true};

bool is_same(const SeatAssignment& a, const SeatAssignment& b) {
  return a.seats == b.seats && a.seat == b.seat && a.hub == b.hub &&
         a.coordinator == b.coordinator && a.topology == b.topology &&
         a.frame_bytes == b.frame_bytes;
}

}  // namespace

void ClusterNode::start() {
  console_.write("Mote cluster_node on ");
  console_.write(board::name());
  console_.write("\n");
  model_.open(board::image_region());
  const board::FixedSeat fixed = board::fixed_seat();
  if (model_.status == Status::ok && fixed.seats != 0) {
    SeatAssignment seat;
    seat.topology = fixed.topology;
    seat.seats = static_cast<std::uint8_t>(std::min<std::uint32_t>(fixed.seats, kMaxChips));
    seat.seat = static_cast<std::uint8_t>(fixed.seat);
    seat.frame_bytes = static_cast<std::uint16_t>(board::link_frame_bytes());
    const Status status = take_seat(seat, first_link(seat.topology), kTiming, board::now_us());
    if (status != Status::ok) write_error(console_, status_text(status));
    if (status == Status::ok) source_ = SeatSource::fixed;
  }
  console_.prompt();
}

bool ClusterNode::step() {
  if (console_.poll() && !take_command()) return false;
  const std::uint64_t now_us = board::now_us();
  bool is_busy = receive(now_us);
  if (has_seat()) {
    node_.tick(now_us);
    if (is_coordinator()) coordinator_.poll(now_us);
    is_busy = compute(now_us) || is_busy;
    note_session();
    if (is_answering_) tell_answer();
  }
  is_busy = transmit(now_us) || is_busy;
  if (!is_busy) wait();
  return true;
}

void ClusterNode::wait() {
  const bool counts = has_seat() && node_.is_waiting();
  const std::uint64_t before_us = board::now_us();
  board::sleep();
  if (counts) waiting_us_ += board::now_us() - before_us;
}

/// Ring: the seat came from the chip before, at port 1. A leaf or a shared medium has one port.
std::uint32_t ClusterNode::link_of(std::uint32_t port) const {
  if (seat_.topology == Topology::ring) return port == 1 ? arrival_ : 1 - arrival_;
  return node_.port_count() == 1 ? arrival_ : port;
}

bool ClusterNode::receive(std::uint64_t now_us) {
  std::array<std::uint8_t, kReadBytes> memory;
  bool has_come = false;
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    const auto bytes = links_[link].read(link, memory);
    if (bytes.empty()) continue;
    has_come = true;
    // In a session no chip needs a seat, and every byte costs its time.
    if (!has_seat() || !node_.is_in_session()) look_for_seat(link, bytes, now_us);
    bool is_taken = false;
    for (std::uint32_t port = 0; port < port_count(); ++port) {
      if (link_of(port) != link) continue;
      links_[link].deliver(node_, port, bytes, now_us);
      is_taken = true;
    }
    if (!is_taken) links_[link].ignore(bytes);
  }
  return has_come;
}

void ClusterNode::look_for_seat(std::uint32_t link, std::span<const std::uint8_t> bytes,
                                std::uint64_t now_us) {
  SeatAssignment seat;
  if (!links_[link].find_seat(seat, bytes)) return;
  if (source_ == SeatSource::fixed || model_.status != Status::ok) return;
  if (has_seat() && is_same(seat, seat_) && link == arrival_) return;
  const Status status = take_seat(seat, link, kTiming, now_us);
  if (status == Status::ok) source_ = SeatSource::told;
}

/// Tokens of the longest text that this chip could answer: one more than positions.
std::size_t ClusterNode::text_count() const {
  const auto bytes_of = [this](std::uint32_t context) {
    const std::size_t model =
        Transformer::arena_bytes(model_.image, {context, 1, 1}, model_.image.held());
    return saturating_add(model, std::size_t{context} * sizeof(std::uint32_t));
  };
  const std::uint32_t most = model_.image.config().context_length;
  return std::size_t{largest_context(most, memory_.size(), bytes_of)} + 1;
}

Status ClusterNode::take_seat(const SeatAssignment& seat, std::uint32_t arrival,
                              const ClusterTiming& timing, std::uint64_t now_us) {
  NodeConfig config;
  config.topology = seat.topology;
  config.seats = seat.seats;
  config.seat = seat.seat;
  config.hub = seat.hub;
  config.coordinator = seat.coordinator;
  config.frame_bytes = static_cast<std::uint32_t>(
      std::min<std::size_t>({seat.frame_bytes, board::link_frame_bytes(), kMaxFrameBytes}));
  config.identity = board::identity();
  // Where the board has no other number after each start, the moment may differ.
  ++seats_taken_;
  config.boot = board::boot_number() + static_cast<std::uint32_t>(now_us) + (seats_taken_ << 24);
  config.timing = timing;
  const std::uint32_t ports =
      Routes::port_count(config.topology, config.seats, config.seat, config.hub);
  const bool is_ring = seat.topology == Topology::ring && ports != 0;
  if (ports > links_.size() || (is_ring && arrival > 1)) return Status::bad_cluster_config;
  Arena arena(memory_);
  const bool is_first = seat.seat == seat.coordinator;
  const auto records = arena.take<SeatRecord>(is_first ? seat.seats : 0);
  const auto text = arena.take<std::uint32_t>(is_first ? text_count() : 0);
  const auto frames = arena.take<std::uint8_t>(std::size_t{ports} * config.frame_bytes);
  if (arena.is_exhausted()) return Status::arena_too_small;
  for (std::uint32_t port = 0; port < port_count(); ++port) {
    links_[link_of(port)].keep(node_.counters(port));
  }
  source_ = SeatSource::none;
  is_answering_ = false;
  was_in_session_ = false;
  node_memory_ = memory_.subspan(arena.used_bytes());
  const Status status = node_.init(model_.image, config, node_memory_, records, now_us);
  if (status != Status::ok) return status;
  new (&coordinator_) Coordinator(node_, records, text, kCoordinator);
  seat_ = seat;
  arrival_ = arrival;
  for (NodeLink& link : links_) link.begin_seat({});
  for (std::uint32_t port = 0; port < ports; ++port) {
    const std::size_t first = std::size_t{port} * config.frame_bytes;
    links_[link_of(port)].begin_seat(frames.subspan(first, config.frame_bytes));
  }
  source_ = SeatSource::told;
  return Status::ok;
}

/// Whether the chip at `port` is to be told its seat now.
bool ClusterNode::is_to_tell(std::uint32_t port, std::uint64_t now_us) const {
  if (seat_.topology != Topology::ring || port != 0 || seat_.seat + 1 == seat_.seats) return false;
  const std::uint64_t heard_us = links_[link_of(0)].heard_us();
  const bool is_heard = heard_us != 0 && now_us - heard_us < kSilentUs;
  return !is_heard && now_us >= tell_us_;
}

bool ClusterNode::transmit(std::uint64_t now_us) {
  bool has_gone = false;
  for (std::uint32_t port = 0; port < port_count(); ++port) {
    const std::uint32_t number = link_of(port);
    NodeLink& link = links_[number];
    while (true) {
      has_gone = link.flush(number) || has_gone;
      if (!link.is_free()) break;
      if (is_to_tell(port, now_us)) {
        SeatAssignment next = seat_;
        ++next.seat;
        link.commit_seat(next, seat_.seat);
        tell_us_ = now_us + kTellEachUs;
      } else {
        link.commit(node_.transmit(port, link.space()));
        if (link.is_free()) break;
      }
    }
  }
  return has_gone;
}

/// Keeps frames going while the node computes apart.
bool ClusterNode::pump() {
  const std::uint64_t now_us = board::now_us();
  const bool has_come = receive(now_us);
  node_.tick(now_us);
  return transmit(now_us) || has_come;
}

bool ClusterNode::compute(std::uint64_t now_us) {
  if (!node_.has_work()) return false;
  clock_.start();
  if (node_.start_work(now_us)) {
    const auto step = [](void* node) { static_cast<TensorParallelNode*>(node)->compute(); };
    if (board::start_apart(step, &node_)) {
      while (!board::is_apart_done()) {
        if (!pump()) board::sleep();
      }
    } else {
      node_.compute();
    }
    node_.finish_work();
  }
  clock_.stop();
  return true;
}

/// Counts sessions, and what the largest one took of the arena.
void ClusterNode::note_session() {
  const bool is_new =
      node_.is_in_session() && (!was_in_session_ || node_.session() != last_session_);
  was_in_session_ = node_.is_in_session();
  if (!is_new) return;
  last_session_ = node_.session();
  ++sessions_;
  const Transformer& transformer = node_.transformer();
  const std::size_t bytes = TensorParallelNode::arena_bytes(
      model_.image, node_.config(), transformer.run_config(), transformer.slice());
  if (bytes <= used_bytes_) return;
  used_bytes_ = bytes;
  session_run_ = transformer.run_config();
}

int run_cluster_node() {
  Arena arena(board::arena());
  const auto links = arena.take<NodeLink>(board::link_count());
  const auto program = arena.take<ClusterNode>(1);
  if (arena.is_exhausted()) {
    board::write_console("error: the arena is too small for the program\r\n");
    return 1;
  }
  for (NodeLink& link : links) new (&link) NodeLink;
  const auto rest = board::arena().subspan(arena.used_bytes());
  ClusterNode* node = new (program.data()) ClusterNode(rest, links);
  node->start();
  while (node->step()) continue;
  return 0;
}

}  // namespace mote::firmware
