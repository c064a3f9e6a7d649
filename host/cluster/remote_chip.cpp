// SPDX-License-Identifier: Apache-2.0
#include "cluster/remote_chip.hpp"

#include <array>

#include <fmt/format.h>

#include "mote/frame.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kDialEachUs = 500'000;
/// Before the first connection a chip may just be starting.
constexpr std::uint64_t kFirstDialEachUs = 50'000;
constexpr std::uint64_t kConnectUs = 2'000'000;
constexpr std::uint64_t kTellEachUs = 200'000;

}  // namespace

RemoteChip::RemoteChip(const Address& address, const SeatAssignment& seat)
    : dialer_(address), seat_(seat), name_(fmt::format("chip {} ({})", seat.seat, address.text)) {}

bool RemoteChip::keep_open(std::uint64_t now_us) {
  if (link_ == nullptr && now_us >= dial_us_) {
    link_ = dialer_.dial(trouble_);
    dialled_us_ = now_us;
    dial_us_ = now_us + (was_open_ ? kDialEachUs : kFirstDialEachUs);
    tell_us_ = 0;
  }
  if (link_ != nullptr && !link_->is_up() && now_us - dialled_us_ >= kConnectUs) {
    trouble_ = "no answer to the connection";
    close(now_us);
  }
  const bool has_opened = is_open() && tell_us_ == 0;
  was_open_ = was_open_ || has_opened;
  if (has_opened) tell_us_ = now_us;
  return has_opened;
}

void RemoteChip::close(std::uint64_t now_us) {
  sent_bytes_ += link_->sent_bytes();
  received_bytes_ += link_->received_bytes();
  link_.reset();
  dial_us_ = now_us + (was_open_ ? kDialEachUs : kFirstDialEachUs);
}

bool RemoteChip::take_loss(std::uint64_t now_us) {
  if (link_ == nullptr || !link_->is_down()) return false;
  trouble_ = link_->down_reason();
  close(now_us);
  return true;
}

void RemoteChip::reopen(std::uint64_t now_us) {
  if (link_ != nullptr && !dialer_.address().is_serial()) close(now_us);
}

void RemoteChip::tell_seat(std::uint64_t now_us) {
  if (!is_open() || now_us < tell_us_) return;
  MessageHeader header;
  header.type = MessageType::seat;
  header.source = seat_.coordinator;
  header.first = 1;
  std::array<std::uint8_t, kMessageHeaderBytes + kSeatAssignmentBytes> message{};
  encode_header(message, header);
  encode_payload(std::span(message).subspan(kMessageHeaderBytes), seat_);
  // The zero ends whatever a serial line has picked up before.
  std::array<std::uint8_t, 1 + max_frame_bytes(message.size())> frame{};
  const std::size_t bytes = 1 + encode_frame(std::span(frame).subspan(1), message);
  if (!link_->can_write(bytes)) return;
  link_->write(std::span(frame).first(bytes));
  tell_us_ = now_us + kTellEachUs;
}

std::uint64_t RemoteChip::sent_bytes() const {
  return sent_bytes_ + (link_ != nullptr ? link_->sent_bytes() : 0);
}

std::uint64_t RemoteChip::received_bytes() const {
  return received_bytes_ + (link_ != nullptr ? link_->received_bytes() : 0);
}

}  // namespace mote::host
