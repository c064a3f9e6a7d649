// SPDX-License-Identifier: Apache-2.0
#include "mote/frame.hpp"

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "base/crc32.hpp"

namespace mote {
namespace {

/// A code byte says where the next one is. This one says 255 bytes on, with no zero between.
constexpr std::uint8_t kFullGroup = 0xff;

/// CRC-32 of "Mote", with which every checksum begins. Begun with all ones, as CRC-32 is by itself,
/// it is right for ff ff ff ff, any zeros, ff ff ff ff: bytes as they stand in activations, which
/// one or two flipped bits can cut out as a frame of their own.
constexpr std::uint32_t kCrcOfPrefix = 0x7d3afac4;

// What SPEC.md says of frames.
static_assert(kMaxFrameBytes <= 512);
static_assert(max_frame_bytes(kMaxMessageBytes) - kMaxMessageBytes == 7);

std::uint32_t checksum(std::span<const std::uint8_t> message) {
  return crc32(message, kCrcOfPrefix);
}

/// Writes COBS groups. A group is opened only once a byte needs it, so that a full group at the end
/// is followed by no empty one.
class GroupWriter {
 public:
  explicit GroupWriter(std::span<std::uint8_t> out) : out_(out) {}

  void put(std::uint8_t byte) {
    if (code_ == kFullGroup) open_group();
    if (byte == 0) {
      open_group();
    } else {
      out_[size_++] = byte;
      ++code_;
    }
  }
  /// Ends the frame and returns its length.
  std::size_t finish() {
    out_[code_at_] = code_;
    out_[size_++] = 0;
    return size_;
  }

 private:
  void open_group() {
    out_[code_at_] = code_;
    code_at_ = size_++;
    code_ = 1;
  }

  std::span<std::uint8_t> out_;
  std::size_t code_at_ = 0;  // where the code of the open group will stand
  std::size_t size_ = 1;
  std::uint8_t code_ = 1;  // bytes of the open group, its code included
};

}  // namespace

std::size_t encode_frame(std::span<std::uint8_t> out, std::span<const std::uint8_t> message) {
  MOTE_ASSERT(!message.empty() && message.size() <= kMaxMessageBytes);
  MOTE_ASSERT(out.size() >= max_frame_bytes(message.size()));
  GroupWriter writer(out);
  for (const std::uint8_t byte : message) writer.put(byte);
  const std::uint32_t crc = checksum(message);
  for (std::uint32_t i = 0; i < kFrameCrcBytes; ++i) {
    writer.put(static_cast<std::uint8_t>(crc >> (8 * i)));
  }
  return writer.finish();
}

std::span<const std::uint8_t> FrameReader::read(std::span<const std::uint8_t>& input) {
  while (!input.empty()) {
    const std::uint8_t byte = input.front();
    input = input.subspan(1);
    if (byte != 0) {
      take(byte);
      continue;
    }
    const std::span<const std::uint8_t> message = finish_frame();
    if (!message.empty()) return message;
  }
  return {};
}

void FrameReader::take(std::uint8_t byte) {
  if (group_left_ > 0) {
    --group_left_;
    append(byte);
    return;
  }
  if (zero_follows_) append(0);
  group_left_ = static_cast<std::uint8_t>(byte - 1);
  zero_follows_ = byte != kFullGroup;
}

void FrameReader::append(std::uint8_t byte) {
  if (size_ < buffer_.size()) {
    buffer_[size_++] = byte;
  } else {
    is_overlong_ = true;
  }
}

std::span<const std::uint8_t> FrameReader::finish_frame() {
  // Only where no code byte has come since the last zero is there neither a group nor its zero.
  const bool is_empty = size_ == 0 && group_left_ == 0 && !zero_follows_;
  const bool is_whole = group_left_ == 0 && !is_overlong_ && size_ > kFrameCrcBytes;
  const std::size_t size = is_whole ? size_ - kFrameCrcBytes : 0;
  size_ = 0;
  group_left_ = 0;
  zero_follows_ = false;
  is_overlong_ = false;
  const std::span<const std::uint8_t> message = std::span(buffer_).first(size);
  if (is_whole && checksum(message) == load<std::uint32_t>(buffer_, size)) return message;
  if (!is_empty) ++damaged_frames_;
  return {};
}

}  // namespace mote
