// SPDX-License-Identifier: Apache-2.0
#include "firmware/node_link.hpp"

#include <algorithm>

#include "firmware/board.hpp"

namespace mote::firmware {
namespace {

bool decode_seat(SeatAssignment& seat, std::span<const std::uint8_t> frame) {
  FrameReader reader;
  const auto message = reader.read(frame);
  MessageHeader header;
  return !message.empty() && decode_header(header, message) == Status::ok &&
         header.type == MessageType::seat &&
         decode_payload(seat, message.subspan(kMessageHeaderBytes)) == Status::ok;
}

}  // namespace

void NodeLink::ignore(std::span<const std::uint8_t> bytes) {
  if (!bytes.empty()) is_within_frame_ = bytes.back() != 0;
}

void NodeLink::begin_seat(std::span<std::uint8_t> frame) {
  skips_frame_ = is_within_frame_;
  frame_ = frame;
  size_ = 0;
  sent_ = 0;
}

void NodeLink::deliver(TensorParallelNode& node, std::uint32_t port,
                       std::span<const std::uint8_t> bytes, std::uint64_t now_us) {
  if (skips_frame_) {
    const auto zero = std::ranges::find(bytes, std::uint8_t{0});
    if (zero == bytes.end()) return;
    bytes = {zero, bytes.end()};
    skips_frame_ = false;
    is_within_frame_ = false;
  }
  std::uint32_t frames = 0;
  for (const std::uint8_t byte : bytes) {
    if (byte == 0 && is_within_frame_) ++frames;
    is_within_frame_ = byte != 0;
  }
  const std::uint32_t before = node.damaged_frames();
  node.receive(port, bytes, now_us);
  // A frame that is not empty is whole, or counted as damaged.
  const std::uint32_t damaged = node.damaged_frames() - before;
  counters_.damaged += damaged;
  if (frames <= damaged) return;
  counters_.frames_in += frames - damaged;
  heard_us_ = now_us;
}

bool NodeLink::find_seat(SeatAssignment& seat, std::span<const std::uint8_t> bytes) {
  bool is_found = false;
  for (const std::uint8_t byte : bytes) {
    if (seat_bytes_ < seat_frame_.size()) seat_frame_[seat_bytes_] = byte;
    if (seat_bytes_ <= seat_frame_.size()) ++seat_bytes_;
    if (byte != 0) continue;
    if (seat_bytes_ <= seat_frame_.size()) {
      is_found = decode_seat(seat, std::span(seat_frame_).first(seat_bytes_)) || is_found;
    }
    seat_bytes_ = 0;
  }
  return is_found;
}

void NodeLink::commit(std::size_t bytes) {
  size_ = static_cast<std::uint16_t>(bytes);
  sent_ = 0;
  if (bytes != 0) ++counters_.frames_out;
}

void NodeLink::commit_seat(const SeatAssignment& seat, std::uint32_t source) {
  MessageHeader header;
  header.type = MessageType::seat;
  header.source = static_cast<std::uint8_t>(source);
  header.first = 1;
  std::array<std::uint8_t, kMessageHeaderBytes + kSeatAssignmentBytes> message{};
  encode_header(message, header);
  encode_payload(std::span(message).subspan(kMessageHeaderBytes), seat);
  // The zero ends whatever the line has picked up before.
  frame_[0] = 0;
  commit(1 + encode_frame(frame_.subspan(1), message));
}

bool NodeLink::flush(std::uint32_t link) {
  if (is_free()) return false;
  const auto left =
      std::span<const std::uint8_t>(frame_).subspan(sent_, std::size_t{size_} - sent_);
  const std::size_t taken = board::write_link(link, left);
  sent_ = static_cast<std::uint16_t>(sent_ + taken);
  counters_.bytes_out += taken;
  return taken != 0;
}

std::span<const std::uint8_t> NodeLink::read(std::uint32_t link, std::span<std::uint8_t> memory) {
  const std::size_t bytes = board::read_link(link, memory);
  counters_.bytes_in += bytes;
  return memory.first(bytes);
}

void NodeLink::keep(const PortCounters& counters) {
  counters_.payload_bytes += counters.payload_bytes;
  counters_.repeated_bytes += counters.repeated_bytes;
}

}  // namespace mote::firmware
