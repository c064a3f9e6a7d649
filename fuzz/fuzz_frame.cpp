// SPDX-License-Identifier: Apache-2.0
// Any bytes may come over a wire. What is accepted means one thing only: it encodes to the bytes
// that it was decoded from.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mote/frame.hpp"
#include "mote/message.hpp"

namespace {

using Bytes = std::span<const std::uint8_t>;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

/// Messages of one type: what is decoded encodes to the same bytes.
template <typename Message>
void check_payload(Bytes payload) {
  Message message;
  if (mote::decode_payload(message, payload) != mote::Status::ok) return;
  std::array<std::uint8_t, mote::kMaxMessageBytes> bytes{};
  const std::size_t size = mote::encode_payload(bytes, message);
  require(std::ranges::equal(std::span(bytes).first(size), payload));
}

void check_ack(Bytes payload) {
  std::array<mote::AckEntry, mote::kMaxChips> memory;
  std::span<mote::AckEntry> entries(memory);
  if (mote::decode_payload(entries, payload) != mote::Status::ok) return;
  std::array<std::uint8_t, mote::kMaxMessageBytes> bytes{};
  const std::size_t size = mote::encode_payload(bytes, std::span<const mote::AckEntry>(entries));
  require(std::ranges::equal(std::span(bytes).first(size), payload));
}

void check_payload_of(mote::MessageType type, Bytes payload) {
  switch (type) {
    case mote::MessageType::hello:
      return check_payload<mote::Hello>(payload);
    case mote::MessageType::ready:
      return check_payload<mote::Ready>(payload);
    case mote::MessageType::error:
      return check_payload<mote::ErrorMessage>(payload);
    case mote::MessageType::seat:
      return check_payload<mote::SeatAssignment>(payload);
    case mote::MessageType::ack:
      return check_ack(payload);
    case mote::MessageType::heartbeat:
    case mote::MessageType::barrier:
      return require(payload.empty());
    case mote::MessageType::activation:
    case mote::MessageType::token:
    case mote::MessageType::candidates:
      return;
  }
  __builtin_trap();  // an unknown type has passed
}

void check_message(Bytes message) {
  mote::MessageHeader header;
  if (mote::decode_header(header, message) != mote::Status::ok) return;
  std::array<std::uint8_t, mote::kMessageHeaderBytes> bytes{};
  mote::encode_header(bytes, header);
  require(std::ranges::equal(bytes, message.first(bytes.size())));
  check_payload_of(header.type, message.subspan(bytes.size()));
}

/// In memory of just that size, so that a sanitizer sees what lies beyond it.
std::vector<std::uint8_t> frame_of(Bytes message) {
  std::vector<std::uint8_t> frame(mote::max_frame_bytes(message.size()));
  frame.resize(mote::encode_frame(frame, message));
  require(std::ranges::count(frame, 0) == 1 && frame.back() == 0);
  return frame;
}

/// Reads `stream` in chunks; whether the last message in it is `expected`.
bool read_chunks(mote::FrameReader& reader, Bytes stream, std::size_t chunk_bytes, Bytes expected) {
  bool is_found = false;
  while (!stream.empty()) {
    const std::size_t size = std::min<std::size_t>(chunk_bytes, stream.size());
    const std::vector<std::uint8_t> chunk(stream.begin(), stream.begin() + std::ptrdiff_t(size));
    stream = stream.subspan(size);
    for (Bytes input(chunk);;) {
      const Bytes message = reader.read(input);
      if (message.empty()) break;
      require(message.size() <= mote::kMaxMessageBytes);
      check_message(message);
      is_found = std::ranges::equal(message, expected);
    }
  }
  return is_found;
}

/// Pieces of the input are noise, or messages to be framed: two bytes before each say which, how
/// long it is and in what chunks it arrives. Noise may cost the frame after it, and no other.
void read_pieces(Bytes input) {
  mote::FrameReader reader;
  bool is_after_noise = false;
  while (input.size() > 2) {
    const bool is_noise = (input[0] & 1) != 0;
    const std::size_t chunk_bytes = (std::size_t{input[0]} >> 1) + 1;
    const std::size_t size = std::min<std::size_t>(2 * input[1] + 1, input.size() - 2);
    const Bytes piece = input.subspan(2, std::min<std::size_t>(size, mote::kMaxMessageBytes));
    input = input.subspan(2 + piece.size());
    if (is_noise) {
      read_chunks(reader, piece, chunk_bytes, {});
    } else {
      const bool is_found = read_chunks(reader, frame_of(piece), chunk_bytes, piece);
      require(is_found || is_after_noise);
    }
    is_after_noise = is_noise;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  check_message(input);
  read_pieces(input);
  mote::FrameReader reader;
  read_chunks(reader, input, std::max<std::size_t>(1, size), {});
  return 0;
}
