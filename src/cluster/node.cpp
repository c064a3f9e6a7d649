// SPDX-License-Identifier: Apache-2.0
// Sessions, and what a chip computes in them. Messages come in by node_receive.cpp and leave by
// node_transmit.cpp.
#include "mote/node.hpp"

#include <algorithm>
#include <new>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace mote {
namespace {

constexpr std::uint8_t kNoRank = 0xff;

bool is_valid_config(const NodeConfig& config, std::size_t seat_records) {
  const bool keeps_records = config.seat == config.coordinator;
  return config.seats >= 1 && config.seats <= kMaxChips && config.seat < config.seats &&
         config.hub < config.seats && config.coordinator < config.seats &&
         config.topology <= Topology::broadcast && config.frame_bytes >= kMinFrameBytes &&
         seat_records == (keeps_records ? config.seats : 0);
}

std::uint32_t port_count_of(const NodeConfig& config) {
  return Routes::port_count(config.topology, config.seats, config.seat, config.hub);
}

/// The most items that one share of a run has must have a number.
bool fits_items(const ModelConfig& c, const RunConfig& run) {
  const std::uint64_t blocks =
      std::max({c.dim_padded() / c.block, c.heads_dim() / c.head_block(),
                c.hidden_padded() / c.block, (c.dim + c.block + 2) / kEmbeddingItemBytes + 1});
  return blocks * run.batch <= kMaxItem && run.candidates <= kMaxItem &&
         run.context_length < kMaxClusterText;
}

}  // namespace

TensorParallelNode::SessionMemory TensorParallelNode::lay_out_session(Arena& arena,
                                                                      const Image& image,
                                                                      const RunConfig& run,
                                                                      std::uint32_t ranks,
                                                                      std::uint32_t ports) {
  SessionMemory memory;
  memory.hidden_table = arena.take<Range>(Partition::table_count(image.config(), ranks));
  for (Slot& slot : memory.slots) {
    slot.received = arena.take<std::uint16_t>(ranks);
    slot.sent = arena.take<std::uint16_t>(std::size_t{ports} * ranks);
    slot.sent_once = arena.take<std::uint16_t>(std::size_t{ports} * ranks);
  }
  memory.text = arena.take<std::uint32_t>(std::size_t{run.context_length} + 1);
  memory.merged = arena.take<Candidate>(run.candidates);
  memory.shared.k = run.candidates;
  memory.shared.candidates = arena.take<Candidate>(std::size_t{ranks} * run.candidates);
  return memory;
}

std::size_t TensorParallelNode::arena_bytes(const Image& image, const NodeConfig& config,
                                            const RunConfig& run, const Slice& slice) {
  Arena arena;
  const std::uint32_t ports = port_count_of(config);
  arena.take<Port>(ports);
  lay_out_session(arena, image, run, config.seats, ports);
  return saturating_add(arena.used_bytes(), Transformer::arena_bytes(image, run, slice));
}

Status TensorParallelNode::init(const Image& image, const NodeConfig& config,
                                std::span<std::byte> memory, std::span<SeatRecord> seats,
                                std::uint64_t now_us) {
  if (!is_valid_config(config, seats.size())) return Status::bad_cluster_config;
  Arena arena(memory);
  if (!arena.is_aligned()) return Status::arena_misaligned;
  const auto ports = arena.take<Port>(port_count_of(config));
  if (arena.is_exhausted()) return Status::arena_too_small;
  // In place: a temporary of some kilobytes would not suit the stack of a chip.
  new (this) TensorParallelNode;
  config_ = config;
  image_ = image;
  arena_ = memory;
  session_offset_ = arena.used_bytes();
  message_bytes_ = max_message_bytes(config.frame_bytes);
  ports_ = ports;
  std::fill(ports_.begin(), ports_.end(), Port{});
  // Chips may still be in a session of an earlier start.
  session_ = static_cast<std::uint8_t>(config.boot * 151);
  seats_ = seats;
  std::fill(seats_.begin(), seats_.end(), SeatRecord{});
  control_us_ = now_us;
  coordinator_heard_us_ = now_us;
  return Status::ok;
}

/// Whether this chip can take part at all.
Status TensorParallelNode::check_ready(const Ready& ready) const {
  if (failure_ != Status::ok) return failure_;
  if (!std::ranges::equal(ready.model, image_.model_hash().first<8>())) return Status::wrong_model;
  if (!fits_items(image_.config(), ready.run)) return Status::bad_run_config;
  if (ready.tokens == 0 || ready.tokens > ready.run.context_length) return Status::context_full;
  return Status::ok;
}

/// Ranks and routes; kNoRank where this chip is no member.
Status TensorParallelNode::take_members(const Ready& ready) {
  SeatMask alive = 0;
  rank_of_seat_.fill(kNoRank);
  for (std::uint8_t rank = 0; rank < ready.members; ++rank) {
    if (ready.seats[rank] >= config_.seats) return Status::bad_cluster_config;
    rank_of_seat_[ready.seats[rank]] = rank;
    alive |= seat_bit(ready.seats[rank]);
  }
  // Who opens the session gives the text, so it is a member.
  if (rank_of_seat_[config_.coordinator] == kNoRank) return Status::bad_cluster_config;
  routes_ = Routes(config_.topology, config_.seats, config_.seat, config_.hub, alive);
  rank_ = rank_of_seat_[config_.seat];
  return Status::ok;
}

Status TensorParallelNode::open_session(std::uint8_t session, const Ready& ready,
                                        std::span<const std::uint32_t> text, std::uint64_t now_us) {
  close_session();
  Status status = check_ready(ready);
  if (status == Status::ok) status = take_members(ready);
  if (status != Status::ok || rank_ == kNoRank) return status;
  Arena arena(arena_.subspan(session_offset_));
  const SessionMemory session_memory =
      lay_out_session(arena, image_, ready.run, ready.members, port_count());
  if (arena.is_exhausted()) return Status::arena_too_small;
  hidden_table_ = session_memory.hidden_table;
  status = partition_.init(image_.config(), ready.policy,
                           std::span(ready.weights).first(ready.members), hidden_table_);
  if (status != Status::ok) return status;
  status =
      transformer_.init(image_, ready.run, arena_.subspan(session_offset_ + arena.used_bytes()),
                        partition_.slice(rank_));
  if (status == Status::ok) status = sampler_.configure(ready.sampler);
  if (status != Status::ok) return status;
  slots_ = session_memory.slots;
  text_ = session_memory.text;
  merged_ = session_memory.merged;
  shared_ = session_memory.shared;
  ready_ = ready;
  session_ = session;
  had_session_ = true;
  in_session_ = true;
  sequence_ = 0;
  text_count_ = ready.tokens;
  std::ranges::copy(text, text_.begin());
  shared_.text = text_.first(text_count_);
  text_limit_ = 0xffffffffU;
  progress_us_ = now_us;
  wait_us_ = config_.timing.retry_us;
  // Before anything of the session, the coordinator tells of it.
  schedule_control(now_us);
  Step step;
  step.is_text = true;
  begin_step(step);
  is_working_ = true;
  finish_work();
  return Status::ok;
}

void TensorParallelNode::close_session() {
  in_session_ = false;
  is_computed_ = false;
  is_idle_ = false;
  is_working_ = false;
  is_to_advance_ = false;
  is_damaged_ = false;
  candidates_ = {};
  for (Slot& slot : slots_) slot = {};
}

TensorParallelNode::Slot& TensorParallelNode::open_slot(std::uint32_t sequence, const Step& step) {
  Slot& opened = slot(sequence);
  opened.is_open = true;
  opened.sequence = sequence;
  opened.step = step;
  opened.barriers = 0;
  std::fill(opened.received.begin(), opened.received.end(), std::uint16_t{0});
  std::fill(opened.sent.begin(), opened.sent.end(), std::uint16_t{0});
  std::fill(opened.sent_once.begin(), opened.sent_once.end(), std::uint16_t{0});
  return opened;
}

Share TensorParallelNode::share(const Step& step, std::uint32_t rank) const {
  const bool gives_text = rank == rank_of_seat_[config_.coordinator];
  return {transformer_, shared_, step, partition_.slice(rank), rank, gives_text};
}

/// Whether a share has arrived: all its items, or the barrier that stands for none.
bool TensorParallelNode::has_all(const Slot& slot, std::uint32_t rank) const {
  return slot.received[rank] >= std::max<std::uint32_t>(share(slot.step, rank).item_count(), 1);
}

bool TensorParallelNode::is_complete(const Slot& slot) const {
  for (std::uint32_t rank = 0; rank < ranks(); ++rank) {
    if (!has_all(slot, rank)) return false;
  }
  return true;
}

SeatMask TensorParallelNode::missing_seats() const {
  SeatMask missing = 0;
  if (!in_session_ || is_idle_) return missing;
  for (std::uint32_t rank = 0; rank < ranks(); ++rank) {
    if (!has_all(slot(sequence_), rank)) missing |= seat_bit(ready_.seats[rank]);
  }
  return missing;
}

bool TensorParallelNode::is_full() const {
  return in_session_ && text_count_ > ready_.run.context_length;
}

/// A pass over the next tokens of the text, if there is one to come.
bool TensorParallelNode::can_begin() const {
  return text_count_ < text_limit_ && transformer_.position() < text_count_ &&
         transformer_.position() < ready_.run.context_length;
}

bool TensorParallelNode::has_work() const {
  if (!in_session_ || is_working_ || failure_ != Status::ok) return false;
  return is_idle_ ? can_begin() : is_complete(slot(sequence_));
}

Step TensorParallelNode::next_batch(std::uint32_t position) const {
  Step step;
  step.position = position;
  step.count = std::min<std::uint32_t>(ready_.run.batch, text_count_ - position);
  step.tokens = text_.subspan(position, step.count);
  return step;
}

/// The exchange after the current one, as far as it is known before that is complete.
bool TensorParallelNode::predict_next(Step& next) const {
  const Step& step = slot(sequence_).step;
  const bool begins = is_idle_ || step.is_text || step.phase.exchange == Exchange::candidates;
  if (begins && !is_idle_ && !step.is_text) {
    next = {};
    next.position = text_count_;
    next.count = 1;
    return text_count_ <= ready_.run.context_length;
  }
  if (begins) {
    if (step.is_text && !is_complete(slot(sequence_))) return false;
    if (transformer_.position() >= text_count_) return false;
    next = next_batch(transformer_.position());
    return true;
  }
  next = step;
  const bool with_logits = step.position + step.count == text_count_;
  next.phase = Transformer::next_phase(image_.config(), step.phase, with_logits);
  if (next.phase.exchange != Exchange::candidates || with_logits) return true;
  next = next_batch(step.position + step.count);
  return true;
}

Phase TensorParallelNode::next_work() const {
  Step next;
  return predict_next(next) ? next.phase : Phase{};
}

void TensorParallelNode::work(std::uint64_t now_us) {
  if (!start_work(now_us)) return;
  compute();
  finish_work();
}

bool TensorParallelNode::start_work(std::uint64_t now_us) {
  MOTE_ASSERT(has_work() && !is_working_);
  progress_us_ = now_us;
  wait_us_ = config_.timing.retry_us;
  if (!is_idle_ && !finish_step()) return false;
  if (is_idle_) {
    if (!can_begin()) return false;
    begin_step(next_batch(transformer_.position()));
  }
  is_working_ = true;
  return true;
}

void TensorParallelNode::compute() {
  MOTE_ASSERT(is_working_);
  if (is_to_advance_) transformer_.advance();
  is_to_advance_ = false;
  const Step& step = slot(sequence_).step;
  if (step.is_text) return;
  if (step.phase.exchange != Exchange::candidates) return transformer_.compute();
  is_damaged_ = !is_image_whole();
  if (!is_damaged_) compute_candidates();
}

void TensorParallelNode::finish_work() {
  MOTE_ASSERT(is_working_);
  is_working_ = false;
  if (is_damaged_) return fail(Status::image_damaged);
  Slot& current = slot(sequence_);
  const std::uint32_t items = share(current.step, rank_).item_count();
  if (items == 0) current.barriers |= seat_bit(rank_);
  current.received[rank_] = static_cast<std::uint16_t>(std::max<std::uint32_t>(items, 1));
  is_computed_ = true;
}

/// Leaves the current exchange, which is complete. False where the session has ended with it.
bool TensorParallelNode::finish_step() {
  const Step step = slot(sequence_).step;
  if (step.is_text) return finish_text();
  if (step.phase.exchange == Exchange::candidates) {
    finish_candidates();
    return true;
  }
  Step next = step;
  const bool with_logits = step.position + step.count == text_count_;
  next.phase = Transformer::next_phase(image_.config(), step.phase, with_logits);
  is_idle_ = next.phase.exchange == Exchange::candidates && !with_logits;
  if (is_idle_) {
    transformer_.advance();
  } else {
    ++sequence_;
    begin_step(next);
    is_to_advance_ = true;
  }
  return true;
}

bool TensorParallelNode::finish_text() {
  for (const std::uint32_t token : text()) {
    if (token >= image_.config().vocab_size) {
      fail(Status::token_out_of_range);
      return false;
    }
    sampler_.accept(token);
  }
  sampler_.skip(ready_.drawn);
  is_idle_ = true;
  return true;
}

void TensorParallelNode::finish_candidates() {
  CandidateList best(merged_);
  for (std::uint32_t rank = 0; rank < ranks(); ++rank) {
    const std::uint32_t count =
        std::min<std::uint32_t>(shared_.k, partition_.slice(rank).vocabulary.count);
    for (std::uint32_t i = 0; i < count; ++i) {
      best.offer(shared_.candidates[std::size_t{rank} * shared_.k + i]);
    }
  }
  candidates_ = best.sort();
  const std::uint32_t token = sampler_.sample(candidates_);
  sampler_.accept(token);
  text_[text_count_] = token;
  ++text_count_;
  is_idle_ = true;
}

/// What came before the tokens of a batch were known was taken from whoever sent it.
void TensorParallelNode::drop_what_cannot_be(Slot& slot) {
  for (std::uint32_t rank = 0; rank < ranks(); ++rank) {
    const std::uint32_t items = share(slot.step, rank).item_count();
    const bool has_barrier = (slot.barriers & seat_bit(rank)) != 0;
    const bool can_be = has_barrier ? items == 0 : slot.received[rank] <= items;
    if (can_be) continue;
    slot.barriers &= ~seat_bit(rank);
    slot.received[rank] = 0;
    for (std::uint32_t port = 0; port < port_count(); ++port) {
      slot.sent[std::size_t{port} * ranks() + rank] = 0;
    }
  }
}

/// Makes `step` the current exchange, of which blocks may have arrived already.
void TensorParallelNode::begin_step(const Step& step) {
  if (is_idle_) ++sequence_;
  Slot& current = slot(sequence_);
  if (current.is_open && current.sequence == sequence_) {
    current.step = step;
    drop_what_cannot_be(current);
  } else {
    open_slot(sequence_, step);
  }
  if (is_idle_) {
    const bool with_logits = step.position + step.count == text_count_;
    transformer_.begin(step.tokens, with_logits);
  }
  // What could not be placed is asked for again at once.
  for (Port& port : ports_) port.is_ack_due = port.is_ack_due || has_missed_;
  has_missed_ = false;
  is_idle_ = false;
  is_computed_ = false;
}

void TensorParallelNode::compute_candidates() {
  const auto own = transformer_.candidates(sampler_);
  std::ranges::copy(own, &shared_.candidates[std::size_t{rank_} * shared_.k]);
}

/// A token is drawn only from logits whose weights were undamaged after they were used.
bool TensorParallelNode::is_image_whole() const {
  if (config_.verify_interval == 0 || text_count_ % config_.verify_interval != 0) return true;
  return image_.verify() == Status::ok;
}

void TensorParallelNode::fail(Status status) {
  close_session();
  if (status == Status::image_damaged) failure_ = status;
  is_refusing_ = true;
  refusal_ = {status, static_cast<std::uint8_t>(config_.seat),
              static_cast<std::uint8_t>(config_.coordinator), 0, 0};
  control_us_ = 0;
}

std::uint32_t TensorParallelNode::damaged_frames() const {
  std::uint32_t frames = 0;
  for (const Port& port : ports_) frames += port.reader.damaged_frames();
  return frames;
}

}  // namespace mote
