// SPDX-License-Identifier: Apache-2.0
// Messages as frames on a byte stream: a checksum, then COBS (Cheshire and Baker, "Consistent
// Overhead Byte Stuffing", 1999), then a zero. SPEC.md, "Frames".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mote {

inline constexpr std::size_t kFrameCrcBytes = 4;
/// Message and checksum are at most two COBS groups of 254 bytes.
inline constexpr std::size_t kMaxMessageBytes = 2 * 254 - kFrameCrcBytes;
/// The largest frame of a message of so many bytes, with the zero that ends it.
constexpr std::size_t max_frame_bytes(std::size_t message_bytes) {
  const std::size_t bytes = message_bytes + kFrameCrcBytes;
  return bytes + (bytes + 253) / 254 + 1;
}
inline constexpr std::size_t kMaxFrameBytes = max_frame_bytes(kMaxMessageBytes);
/// The largest message whose frame is never longer than `frame_bytes`; 0 where there is none.
constexpr std::size_t max_message_bytes(std::size_t frame_bytes) {
  std::size_t bytes = 0;
  while (bytes < kMaxMessageBytes && max_frame_bytes(bytes + 1) <= frame_bytes) ++bytes;
  return bytes;
}

/// Writes the frame of `message` (1 to kMaxMessageBytes) and returns its length.
///   out  at least max_frame_bytes(message.size()), apart from `message`
std::size_t encode_frame(std::span<std::uint8_t> out, std::span<const std::uint8_t> message);

/// Finds frames in a byte stream. Whatever precedes a frame (noise, the rest of a frame) costs at
/// most that frame: a zero always begins anew.
class FrameReader {
 public:
  /// Takes bytes from the front of `input` until a whole undamaged message stands there, and
  /// returns it; empty once `input` is. The message is valid until the next call.
  std::span<const std::uint8_t> read(std::span<const std::uint8_t>& input);

  /// Frames that were not empty and did not arrive whole; it wraps around.
  std::uint32_t damaged_frames() const { return damaged_frames_; }

 private:
  void take(std::uint8_t byte);
  void append(std::uint8_t byte);
  std::span<const std::uint8_t> finish_frame();

  std::array<std::uint8_t, kMaxMessageBytes + kFrameCrcBytes> buffer_{};
  std::uint16_t size_ = 0;       // decoded bytes of the frame so far
  std::uint8_t group_left_ = 0;  // bytes of the current COBS group to come
  bool zero_follows_ = false;    // the group ends with a zero of the message
  bool is_overlong_ = false;     // no message is so long: skip to the next zero
  std::uint32_t damaged_frames_ = 0;
};

}  // namespace mote
