// SPDX-License-Identifier: Apache-2.0
// What a chip does with each message that arrives.
#include <algorithm>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "mote/node.hpp"

namespace mote {
namespace {

constexpr std::uint8_t kNoRank = 0xff;

constexpr bool is_control(MessageType type) {
  return type == MessageType::hello || type == MessageType::ready ||
         type == MessageType::heartbeat || type == MessageType::error;
}

/// The type of the messages that carry a step.
MessageType type_of(const Step& step) {
  if (step.is_text) return MessageType::token;
  return step.phase.exchange == Exchange::candidates ? MessageType::candidates
                                                     : MessageType::activation;
}

bool speaks_of(const MessageHeader& header, const Step& step) {
  if (header.position != (step.position & kPositionMask)) return false;
  if (header.type == MessageType::barrier) return true;
  if (header.type != type_of(step)) return false;
  return header.type != MessageType::activation ||
         (header.exchange == step.phase.exchange && header.layer == step.phase.layer);
}

}  // namespace

void TensorParallelNode::receive(std::uint32_t port, std::span<const std::uint8_t> bytes,
                                 std::uint64_t now_us) {
  MOTE_ASSERT(port < ports_.size());
  const std::uint32_t damaged = ports_[port].reader.damaged_frames();
  for (;;) {
    const auto message = ports_[port].reader.read(bytes);
    if (message.empty()) break;
    take_message(port, message, now_us);
  }
  if (ports_[port].reader.damaged_frames() == damaged) return;
  // Something was lost here: it is asked for at once, or when the next exchange begins.
  ports_[port].is_ack_due = true;
  has_missed_ = true;
}

void TensorParallelNode::take_message(std::uint32_t port, std::span<const std::uint8_t> message,
                                      std::uint64_t now_us) {
  MessageHeader header;
  const Status status = decode_header(header, message);
  if (status == Status::message_bad_version) return note_version(header, message, now_us);
  if (status != Status::ok || header.source >= config_.seats || header.source == config_.seat) {
    return;
  }
  if (!seats_.empty()) seats_[header.source].heard_us = now_us;
  if (header.source == config_.coordinator) coordinator_heard_us_ = now_us;
  const auto payload = message.subspan(kMessageHeaderBytes);
  if (is_control(header.type)) return take_control(port, header, message, now_us);
  if (!in_session_ || header.session != session_) return;
  if (header.type == MessageType::ack) return take_ack(port, header, payload);
  take_items(port, header, payload, now_us);
}

/// Another version of the protocol: the coordinator keeps it as that chip's error.
void TensorParallelNode::note_version(const MessageHeader& header,
                                      std::span<const std::uint8_t> message, std::uint64_t now_us) {
  if (seats_.empty() || header.source >= config_.seats) return;
  SeatRecord& record = seats_[header.source];
  record.heard_us = now_us;
  record.has_error = true;
  record.error = {Status::message_bad_version, header.source,
                  static_cast<std::uint8_t>(config_.seat), kProtocolVersion,
                  static_cast<std::uint64_t>(message[0] & 7U)};
}

void TensorParallelNode::take_control(std::uint32_t port, const MessageHeader& header,
                                      std::span<const std::uint8_t> message, std::uint64_t now_us) {
  const auto payload = message.subspan(kMessageHeaderBytes);
  SeatRecord ignored;
  SeatRecord& record = seats_.empty() ? ignored : seats_[header.source];
  const std::uint32_t last_boot = record.hello.boot;
  switch (header.type) {
    case MessageType::hello:
      if (decode_payload(record.hello, payload) != Status::ok) return;
      if (header.source == config_.coordinator) leave_session(header, record.hello.boot);
      // What a chip said before it started anew is not true of it now.
      if (record.hello.boot != last_boot) record.has_error = false;
      record.is_known = true;
      record.is_fresh = true;
      break;
    case MessageType::error:
      if (decode_payload(record.error, payload) != Status::ok) return;
      record.has_error = !in_session_ || header.session == session_;
      break;
    case MessageType::heartbeat:
      if (header.source == config_.coordinator && header.session != session_) {
        leave_session(header, coordinator_boot_);
      }
      break;
    case MessageType::ready:
      if (Ready ready; decode_payload(ready, payload) == Status::ok) {
        take_ready(header, ready, now_us);
        break;
      }
      return;
    default:
      break;
  }
  forward(port, header, message);
}

void TensorParallelNode::take_ready(const MessageHeader& header, const Ready& ready,
                                    std::uint64_t now_us) {
  // A late word of an older session is none.
  const bool is_known = had_session_ && ready.boot == coordinator_boot_ &&
                        static_cast<std::int8_t>(header.session - session_) <= 0;
  if (header.source != config_.coordinator || is_known || is_working_) return;
  const Status status = open_session(header.session, ready, {}, now_us);
  session_ = header.session;
  coordinator_boot_ = ready.boot;
  is_refusing_ = status != Status::ok;
  had_session_ = true;
  if (!is_refusing_) return;
  refusal_ = {status, static_cast<std::uint8_t>(config_.seat), header.source,
              load<std::uint64_t>(ready.model, 0), load<std::uint64_t>(image_.model_hash(), 0)};
  control_us_ = now_us;
}

/// The coordinator says hello: it has left the session, or has started anew and knows of none. Or
/// its heartbeat is of a later session. Late words of an earlier one say nothing.
void TensorParallelNode::leave_session(const MessageHeader& header, std::uint32_t boot) {
  const bool is_late =
      boot == coordinator_boot_ && static_cast<std::int8_t>(header.session - session_) < 0;
  if (!in_session_ || is_late || is_working_) return;
  close_session();
  had_session_ = false;
}

/// The slot of a message's exchange: the current, the next, or the one before while it is kept.
TensorParallelNode::Slot* TensorParallelNode::slot_of(std::uint16_t sequence) {
  const auto ahead = static_cast<std::int16_t>(
      static_cast<std::uint16_t>(sequence - static_cast<std::uint16_t>(sequence_)));
  if (ahead < -1 || ahead > 1) return nullptr;
  const std::uint32_t wanted = sequence_ + static_cast<std::uint32_t>(static_cast<int>(ahead));
  Slot& found = slot(wanted);
  if (found.is_open && found.sequence == wanted) return &found;
  if (ahead != 1) return nullptr;
  Step next;
  if (predict_next(next)) return &open_slot(wanted, next);
  has_missed_ = true;
  return nullptr;
}

void TensorParallelNode::take_items(std::uint32_t port, const MessageHeader& header,
                                    std::span<const std::uint8_t> payload, std::uint64_t now_us) {
  const std::uint8_t rank = rank_of_seat_[header.source];
  if (rank == kNoRank) return;
  Slot* found = slot_of(header.sequence);
  if (found == nullptr || found->sequence + 1 == sequence_ || !speaks_of(header, found->step)) {
    return;
  }
  std::uint16_t& received = found->received[rank];
  const Share from = share(found->step, rank);
  if (header.type == MessageType::barrier) {
    const bool is_known = found->step.is_text || !found->step.tokens.empty();
    if (received != 0 || (is_known && from.item_count() != 0)) return;
    found->barriers |= seat_bit(rank);
    received = 1;
  } else {
    if ((found->barriers & seat_bit(rank)) != 0 || header.first < received) return;
    Port& in = ports_[port];
    if (header.first > received) {
      // Something before it was lost. One question is enough for all that follows.
      in.is_ack_due = in.is_ack_due || now_us - in.asked_us >= config_.timing.retry_us / 4;
      if (in.is_ack_due) in.asked_us = now_us;
      return;
    }
    std::uint32_t next = 0;
    if (payload.empty() || !from.read(payload, received, next)) return;
    received = static_cast<std::uint16_t>(next);
  }
  progress_us_ = now_us;
  wait_us_ = config_.timing.retry_us;
}

/// A neighbour says what it misses: that is sent again, as far as it comes by this way.
void TensorParallelNode::take_ack(std::uint32_t port, const MessageHeader& header,
                                  std::span<const std::uint8_t> payload) {
  std::array<AckEntry, kMaxChips> memory;
  std::span<AckEntry> entries = memory;
  const Slot* known = &slot(header.sequence);
  if (!known->is_open || static_cast<std::uint16_t>(known->sequence) != header.sequence) return;
  if (decode_payload(entries, payload) != Status::ok) return;
  Slot& found = slot(header.sequence);
  for (const AckEntry& entry : entries) {
    if (entry.source >= config_.seats) continue;
    const std::uint8_t rank = rank_of_seat_[entry.source];
    if (rank == kNoRank || !routes_.carries(port, entry.source, found.sequence)) continue;
    std::uint16_t& sent = found.sent[std::size_t{port} * ranks() + rank];
    sent = std::min<std::uint16_t>(sent, entry.next_item);
  }
}

/// Passes a message about a chip on. Where no room is left the oldest is lost; it will be said
/// again.
void TensorParallelNode::forward(std::uint32_t port, const MessageHeader& header,
                                 std::span<const std::uint8_t> message) {
  constexpr std::size_t kMostBytes = max_message_bytes(kMinFrameBytes);
  if (header.first <= 1 || message.size() > kMostBytes) return;
  SeatMask ports = 0;
  for (std::uint32_t out = 0; out < port_count(); ++out) {
    if (routes_.floods(out, port)) ports |= seat_bit(out);
  }
  if (ports == 0) return;
  Forwarded& kept = forwarded_[next_forwarded_];
  next_forwarded_ = (next_forwarded_ + 1) % kForwarded;
  MessageHeader next = header;
  --next.first;
  kept.ports = ports;
  kept.bytes = static_cast<std::uint16_t>(message.size());
  std::ranges::copy(message, kept.message.begin());
  encode_header(kept.message, next);
}

}  // namespace mote
