// SPDX-License-Identifier: Apache-2.0
#include "mote/coordinator.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace mote {

ErrorMessage Coordinator::error_of(Status status, std::uint32_t seat) const {
  const auto own = static_cast<std::uint8_t>(node_->config().seat);
  return {status, static_cast<std::uint8_t>(seat), own, 0, 0};
}

Status Coordinator::start(std::span<const std::uint32_t> text, const AnswerRequest& request,
                          std::uint64_t now_us) {
  const std::size_t room =
      std::min<std::size_t>(text_.size(), std::size_t{request.run.context_length} + 1);
  if (text.empty() || text.size() >= room) return Status::context_full;
  std::ranges::copy(text, text_.begin());
  text_count_ = static_cast<std::uint32_t>(text.size());
  given_ = text_count_;
  request_ = request;
  state_ = State::forming;
  sessions_ = 0;
  barred_ = 0;
  stalled_ = 0;
  failure_ = {};
  last_loss_ = {};
  forming_since_us_ = now_us;
  token_us_ = now_us;
  return Status::ok;
}

void Coordinator::stop() {
  node_->set_text_limit(0);
  state_ = State::done;
}

void Coordinator::fail(const ErrorMessage& error) {
  node_->close_session();
  failure_ = error;
  state_ = State::failed;
}

void Coordinator::seat_down(std::uint32_t seat) {
  seats_[seat].heard_us = 0;
  seats_[seat].is_known = false;
}

/// Whether a chip is there, holds the same model and has not refused.
bool Coordinator::is_usable(std::uint32_t seat, std::uint64_t now_us) {
  SeatRecord& record = seats_[seat];
  // Before the first session, errors are of an earlier answer.
  const bool is_current = sessions_ != 0 || record.error.status == Status::message_bad_version;
  if (record.has_error && !is_current) record.has_error = false;
  if (record.has_error) {
    record.has_error = false;
    barred_ |= seat_bit(seat);
    last_loss_ = record.error;
    boots_[seat] = record.hello.boot;
  }
  if (!record.is_known || now_us - record.heard_us >= node_->config().timing.silence_us) {
    return false;
  }
  if ((barred_ & seat_bit(seat)) != 0 && record.hello.boot == boots_[seat]) return false;
  barred_ &= ~seat_bit(seat);
  const auto own = node_->image().model_hash();
  if (std::ranges::equal(record.hello.model, own)) return true;
  last_loss_ = error_of(Status::wrong_model, seat);
  last_loss_.expected = load<std::uint64_t>(own, 0);
  last_loss_.found = load<std::uint64_t>(record.hello.model, 0);
  return false;
}

/// The seats of `usable` whose blocks reach this chip over others of them.
SeatMask Coordinator::connected(SeatMask usable) const {
  const NodeConfig& config = node_->config();
  if (config.topology == Topology::broadcast) return usable;
  if (config.topology == Topology::star) {
    return (usable & seat_bit(config.hub)) != 0 ? usable : seat_bit(config.seat);
  }
  SeatMask found = seat_bit(config.seat);
  for (const std::uint32_t step : {std::uint32_t{1}, config.seats - 1}) {
    std::uint32_t seat = (config.seat + step) % config.seats;
    for (; (usable & ~found & seat_bit(seat)) != 0; seat = (seat + step) % config.seats) {
      found |= seat_bit(seat);
    }
  }
  return found;
}

void Coordinator::add_member(std::uint32_t seat, std::uint8_t weight) {
  ready_.seats[ready_.members] = static_cast<std::uint8_t>(seat);
  ready_.weights[ready_.members] = weight;
  ++ready_.members;
}

/// The chip of `left` for a rank of a cut over `chips`: one with its shard, else one with a whole
/// image, the own last; none: the number of seats.
std::uint32_t Coordinator::find_holder(SeatMask left, std::uint32_t chips,
                                       std::uint32_t rank) const {
  const std::uint32_t own = node_->config().seat;
  const auto seats = static_cast<std::uint32_t>(seats_.size());
  const ShardInfo& own_part = node_->image().shard();
  const bool own_is_whole = !node_->image().is_shard();
  if (!own_is_whole && own_part.chips == chips && own_part.rank == rank) return own;
  std::uint32_t whole = seats;
  for (std::uint32_t seat = 0; seat < seats; ++seat) {
    if ((left & seat_bit(seat)) == 0 || seat == own) continue;
    const Hello& hello = seats_[seat].hello;
    if (hello.chips == chips && hello.rank == rank) return seat;
    if (hello.chips == 0 && whole == seats) whole = seat;
  }
  const bool own_may = own_is_whole && config_.works_alone && (left & seat_bit(own)) != 0;
  return whole == seats && own_may ? own : whole;
}

/// The weight of a rank in the cut that shards were made for: their own images say it, and the
/// hellos of those that hold one.
std::uint8_t Coordinator::weight_of(std::uint32_t seat, std::uint32_t rank) const {
  if (node_->image().is_shard()) return node_->image().shard().weights[rank];
  const bool is_shard = seat != node_->config().seat && seats_[seat].hello.chips != 0;
  return is_shard ? seats_[seat].hello.weight : std::uint8_t{1};
}

/// Chips with shards take their own ranks of the cut that they were made for; those with whole
/// images take the others. Chips that have no part but stand between others, and a driver, follow
/// as members of weight 0.
bool Coordinator::choose_shards(SeatMask usable) {
  const NodeConfig& config = node_->config();
  const ShardInfo* cut = node_->image().is_shard() ? &node_->image().shard() : nullptr;
  std::uint32_t chips = cut != nullptr ? cut->chips : 0;
  for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
    if ((usable & seat_bit(seat)) != 0 && seat != config.seat) {
      chips = std::max<std::uint32_t>(chips, seats_[seat].hello.chips);
    }
  }
  SeatMask left = usable;
  for (std::uint32_t rank = 0; rank < chips; ++rank) {
    const std::uint32_t found = find_holder(left, chips, rank);
    if (found == seats_.size()) return false;
    left &= ~seat_bit(found);
    add_member(found, weight_of(found, rank));
  }
  SeatMask relays = seat_bit(config.seat);
  if (config.topology == Topology::ring) relays = usable;
  if (config.topology == Topology::star) relays |= seat_bit(config.hub);
  for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
    if ((left & relays & seat_bit(seat)) != 0) add_member(seat, 0);
  }
  return true;
}

/// Fills ready_'s members. False where the chips that are there cannot hold the model.
bool Coordinator::choose_members(std::uint64_t now_us) {
  const std::uint32_t own = node_->config().seat;
  ready_.members = 0;
  SeatMask usable = seat_bit(own);
  for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
    const bool stalls = (stalled_ & seat_bit(seat)) != 0;
    if (seat != own && !stalls && is_usable(seat, now_us)) usable |= seat_bit(seat);
  }
  usable = connected(usable);
  bool has_shards = node_->image().is_shard();
  std::uint32_t weight = node_->config().weight;
  for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
    if (seat == own || (usable & seat_bit(seat)) == 0) continue;
    has_shards = has_shards || seats_[seat].hello.chips != 0;
    weight += seats_[seat].hello.weight;
  }
  if (has_shards) return choose_shards(usable);
  if (weight == 0 && !config_.works_alone) return false;
  for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
    if ((usable & seat_bit(seat)) == 0) continue;
    const std::uint8_t own_weight = weight == 0 ? std::uint8_t{1} : node_->config().weight;
    add_member(seat, seat == own ? own_weight : seats_[seat].hello.weight);
  }
  return true;
}

void Coordinator::form(std::uint64_t now_us) {
  SeatMask known = 0;
  for (std::uint32_t seat = 0; seat < seats_.size(); ++seat) {
    const bool is_there = seat == node_->config().seat || seats_[seat].is_known;
    if (is_there) known |= seat_bit(seat);
  }
  const bool all_known = std::popcount(known) == static_cast<int>(seats_.size());
  const bool waited = now_us - forming_since_us_ >= config_.forming_us;
  // After a loss the chips that are left go on at once.
  if (!all_known && !waited && sessions_ == 0) return;
  if (choose_members(now_us)) return open(now_us);
  // It does not go without those that stalled.
  stalled_ = 0;
}

void Coordinator::open(std::uint64_t now_us) {
  std::copy_n(node_->image().model_hash().begin(), ready_.model.size(), ready_.model.begin());
  ready_.run = request_.run;
  ready_.policy = config_.policy;
  if (node_->image().is_shard()) ready_.policy = node_->image().shard().policy;
  ready_.sampler = request_.sampler;
  ready_.tokens = text_count_;
  ready_.drawn = text_count_ - given_;
  ready_.boot = node_->config().boot;
  ++sessions_;
  session_ = static_cast<std::uint8_t>(session_ + 1);
  const Status status = node_->open_session(session_, ready_, text(), now_us);
  if (status != Status::ok) return fail(error_of(status, node_->config().seat));
  node_->set_text_limit(given_ + request_.max_tokens);
  for (std::uint32_t rank = 0; rank < ready_.members; ++rank) {
    const std::uint32_t seat = ready_.seats[rank];
    boots_[seat] = seats_[seat].hello.boot;
    seats_[seat].is_fresh = false;
    seats_[seat].has_error = false;
  }
  sequence_ = 0;
  sequence_us_ = now_us;
  state_ = State::running;
}

void Coordinator::take_tokens(std::uint64_t now_us) {
  const auto text = node_->text();
  while (text_count_ < text.size()) {
    text_[text_count_] = text[text_count_];
    ++text_count_;
    token_us_ = now_us;
    stalled_ = 0;
  }
  if (text_count_ >= given_ + request_.max_tokens || node_->is_full()) state_ = State::done;
}

void Coordinator::lose(std::uint32_t seat, const ErrorMessage& error, std::uint64_t now_us) {
  last_loss_ = error;
  SeatRecord& record = seats_[seat];
  // It is taken in again after its next hello, unless its own error bars it.
  if (error.status != Status::chip_restarted) record.is_known = false;
  // One that stalls without being silent would come back at once.
  if (error.status == Status::cluster_stalled) stalled_ |= seat_bit(seat);
  node_->close_session();
  forming_since_us_ = now_us;
  state_ = State::forming;
}

void Coordinator::check_members(std::uint64_t now_us) {
  for (std::uint32_t rank = 0; rank < ready_.members; ++rank) {
    const std::uint32_t seat = ready_.seats[rank];
    if (seat == node_->config().seat) continue;
    SeatRecord& record = seats_[seat];
    if (record.has_error) {
      // is_usable bars the chip, with its own words.
      return lose(seat, record.error, now_us);
    }
    const bool is_silent = now_us - record.heard_us >= node_->config().timing.silence_us;
    if (is_silent || !record.is_known) {
      return lose(seat, error_of(Status::chip_silent, seat), now_us);
    }
    if (record.is_fresh && record.hello.boot != boots_[seat]) {
      return lose(seat, error_of(Status::chip_restarted, seat), now_us);
    }
  }
  if (node_->failure() != Status::ok || !node_->is_in_session()) {
    return fail(
        error_of(node_->failure() != Status::ok ? node_->failure() : Status::cluster_stalled,
                 node_->config().seat));
  }
  if (node_->sequence() != sequence_) {
    sequence_ = node_->sequence();
    sequence_us_ = now_us;
  }
  if (now_us - sequence_us_ < config_.stall_us) return;
  const SeatMask missing = node_->missing_seats();
  const auto seat =
      missing == 0 ? node_->config().seat : static_cast<std::uint32_t>(std::countr_zero(missing));
  lose(seat, error_of(Status::cluster_stalled, seat), now_us);
}

void Coordinator::poll(std::uint64_t now_us) {
  if (state_ == State::running) {
    take_tokens(now_us);
    if (state_ == State::running) check_members(now_us);
  }
  const bool is_busy = state_ == State::running || state_ == State::forming;
  if (is_busy && now_us - token_us_ >= config_.give_up_us) {
    const Status status =
        state_ == State::forming ? Status::not_enough_chips : Status::cluster_stalled;
    return fail(last_loss_.status != Status::ok ? last_loss_
                                                : error_of(status, node_->config().seat));
  }
  if (state_ == State::forming) form(now_us);
}

}  // namespace mote
