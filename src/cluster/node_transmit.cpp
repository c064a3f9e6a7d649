// SPDX-License-Identifier: Apache-2.0
// What a chip has to say, made at the moment when a port can take it: nothing waits in queues.
#include <algorithm>

#include "base/assert.hpp"
#include "mote/node.hpp"

namespace mote {
namespace {

/// Messages that travel between neighbours reach every chip in so many links.
constexpr std::uint16_t hops(const NodeConfig& config) {
  return static_cast<std::uint16_t>(config.seats);
}

template <typename Payload>
std::size_t finish_message(std::span<std::uint8_t> out, const MessageHeader& header,
                           const Payload& payload) {
  encode_header(out, header);
  return kMessageHeaderBytes + encode_payload(out.subspan(kMessageHeaderBytes), payload);
}

}  // namespace

void TensorParallelNode::tick(std::uint64_t now_us) {
  if (now_us >= control_us_) schedule_control(now_us);
  const bool is_led = is_coordinator() || failure_ != Status::ok ||
                      now_us - coordinator_heard_us_ < config_.timing.silence_us;
  if (in_session_ && !is_led && !is_working_) {
    close_session();
    had_session_ = false;
  }
  if (!in_session_ || !is_computed_ || is_idle_ || now_us - progress_us_ < wait_us_) return;
  if (is_complete(slot(sequence_))) return;
  for (Port& port : ports_) port.is_ack_due = true;
  progress_us_ = now_us;
  wait_us_ = std::max<std::uint64_t>(
      config_.timing.retry_us, std::min<std::uint64_t>(2 * wait_us_, config_.timing.heartbeat_us));
}

/// Once in a while a chip says who it is, that it lives, or what is wrong with it.
void TensorParallelNode::schedule_control(std::uint64_t now_us) {
  // Never at the same moments as the others: who passes them on has room for few.
  const std::uint64_t early = (config_.seat * 37 + control_count_ * 11) % 64;
  ++control_count_;
  control_us_ = now_us + config_.timing.heartbeat_us - config_.timing.heartbeat_us * early / 256;
  // What a refusal was about may have passed: it says who it is as well.
  says_error_ = is_refusing_ && (failure_ != Status::ok || !says_error_);
  const bool opens = is_coordinator() && in_session_ && sequence_ == 0;
  if (opens) control_us_ = now_us + config_.timing.retry_us;
  for (std::uint32_t port = 0; port < port_count(); ++port) control_ports_ |= seat_bit(port);
}

std::size_t TensorParallelNode::make_control(std::span<std::uint8_t> out) {
  MessageHeader header;
  header.source = static_cast<std::uint8_t>(config_.seat);
  header.session = session_;
  header.first = hops(config_);
  if (is_refusing_ && says_error_) {
    header.type = MessageType::error;
    return finish_message(out, header, refusal_);
  }
  if (in_session_ && is_coordinator() && sequence_ == 0) {
    header.type = MessageType::ready;
    return finish_message(out, header, ready_);
  }
  // The coordinator's hello says that there is no session any more.
  if (in_session_) {
    header.type = MessageType::heartbeat;
    encode_header(out, header);
    return kMessageHeaderBytes;
  }
  header.type = MessageType::hello;
  Hello hello;
  hello.identity = config_.identity;
  hello.boot = config_.boot;
  hello.arena_bytes = static_cast<std::uint32_t>(std::min<std::size_t>(arena_.size(), 0xffffffffU));
  hello.seat = header.source;
  hello.weight = config_.weight;
  if (image_.is_shard()) {
    hello.rank = static_cast<std::uint8_t>(image_.shard().rank);
    hello.chips = static_cast<std::uint8_t>(image_.shard().chips);
    hello.weight = image_.shard().weights[hello.rank];
  }
  std::ranges::copy(image_.model_hash(), hello.model.begin());
  std::ranges::copy(image_.content_hash(), hello.shard.begin());
  return finish_message(out, header, hello);
}

/// What is missing of the current exchange.
std::size_t TensorParallelNode::make_ack(std::span<std::uint8_t> out) {
  const Slot& current = slot(sequence_);
  std::array<AckEntry, kMaxChips> entries;
  std::size_t count = 0;
  for (std::uint32_t rank = 0; rank < ranks(); ++rank) {
    if (has_all(current, rank)) continue;
    entries[count++] = {ready_.seats[rank], current.received[rank]};
  }
  MessageHeader header;
  header.type = MessageType::ack;
  header.source = static_cast<std::uint8_t>(config_.seat);
  header.session = session_;
  header.sequence = static_cast<std::uint16_t>(sequence_);
  header.position = static_cast<std::uint16_t>(current.step.position & kPositionMask);
  return finish_message(out, header, std::span<const AckEntry>(entries).first(count));
}

/// The next items of one share. They have all arrived up to `received`.
std::size_t TensorParallelNode::make_items(std::span<std::uint8_t> out, std::uint32_t port,
                                           Slot& slot, std::uint32_t rank) {
  const std::size_t index = std::size_t{port} * ranks() + rank;
  std::uint16_t& sent = slot.sent[index];
  MessageHeader header;
  header.source = ready_.seats[rank];
  header.session = session_;
  header.sequence = static_cast<std::uint16_t>(slot.sequence);
  header.position = static_cast<std::uint16_t>(slot.step.position & kPositionMask);
  if ((slot.barriers & seat_bit(rank)) != 0) {
    header.type = MessageType::barrier;
    encode_header(out, header);
    sent = 1;
    return kMessageHeaderBytes;
  }
  header.first = sent;
  if (slot.step.is_text) {
    header.type = MessageType::token;
  } else if (slot.step.phase.exchange == Exchange::candidates) {
    header.type = MessageType::candidates;
  } else {
    header.type = MessageType::activation;
    header.exchange = slot.step.phase.exchange;
    header.layer = static_cast<std::uint8_t>(slot.step.phase.layer);
  }
  encode_header(out, header);
  std::uint32_t next = 0;
  const std::size_t bytes =
      share(slot.step, rank)
          .write(out.subspan(kMessageHeaderBytes), sent, slot.received[rank], next);
  MOTE_ASSERT(next > sent);
  PortCounters& counters = ports_[port].counters;
  counters.payload_bytes += bytes;
  if (sent < slot.sent_once[index]) counters.repeated_bytes += bytes;
  sent = static_cast<std::uint16_t>(next);
  slot.sent_once[index] = std::max<std::uint16_t>(slot.sent_once[index], sent);
  return kMessageHeaderBytes + bytes;
}

/// The older exchange first; in each the own share, then those of chips ever farther away.
std::size_t TensorParallelNode::make_next_items(std::span<std::uint8_t> out, std::uint32_t port) {
  for (std::uint32_t sequence = sequence_ == 0 ? 0 : sequence_ - 1; sequence <= sequence_ + 1;
       ++sequence) {
    Slot& found = slot(sequence);
    if (!found.is_open || found.sequence != sequence) continue;
    for (std::uint32_t i = 0; i < ranks(); ++i) {
      const std::uint32_t rank = (rank_ + (port == 0 ? ranks() - i : i)) % ranks();
      const bool has_more = found.sent[std::size_t{port} * ranks() + rank] < found.received[rank];
      if (has_more && routes_.carries(port, ready_.seats[rank], sequence)) {
        return make_items(out, port, found, rank);
      }
    }
  }
  return 0;
}

std::size_t TensorParallelNode::make_message(std::span<std::uint8_t> out, std::uint32_t port) {
  if ((control_ports_ & seat_bit(port)) != 0) {
    control_ports_ &= ~seat_bit(port);
    return make_control(out);
  }
  for (Forwarded& forwarded : forwarded_) {
    if ((forwarded.ports & seat_bit(port)) == 0) continue;
    forwarded.ports &= ~seat_bit(port);
    std::copy_n(forwarded.message.begin(), forwarded.bytes, out.begin());
    return forwarded.bytes;
  }
  if (!in_session_) return 0;
  if (ports_[port].is_ack_due && is_computed_ && !is_idle_) {
    ports_[port].is_ack_due = false;
    if (!is_complete(slot(sequence_))) return make_ack(out);
  }
  return make_next_items(out, port);
}

std::size_t TensorParallelNode::transmit(std::uint32_t port, std::span<std::uint8_t> out) {
  MOTE_ASSERT(port < ports_.size() && out.size() >= config_.frame_bytes);
  std::array<std::uint8_t, kMaxMessageBytes> message;
  const std::size_t bytes = make_message(std::span(message).first(message_bytes_), port);
  if (bytes == 0) return 0;
  const std::size_t frame_bytes = encode_frame(out, std::span(message).first(bytes));
  ++ports_[port].counters.frames;
  ports_[port].counters.bytes += frame_bytes;
  return frame_bytes;
}

}  // namespace mote
