// SPDX-License-Identifier: Apache-2.0
// Cuts a byte stream of frames (SPEC.md, "Frames": each ends with a zero) into frames, for a medium
// that carries packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mote::ports {

template <std::size_t MaxFrame>
class FrameCollector {
 public:
  /// Takes bytes up to the end of a frame and returns how many; none while a frame stands here.
  /// A frame that is too long is passed over.
  std::size_t take(std::span<const std::uint8_t> bytes) {
    std::size_t taken = 0;
    while (taken < bytes.size() && !is_whole_) append(bytes[taken++]);
    return taken;
  }
  /// The frame with the zero that ends it; empty where none is whole.
  std::span<const std::uint8_t> frame() const {
    return std::span(frame_).first(is_whole_ ? size_ : 0);
  }
  void clear() {
    size_ = 0;
    is_whole_ = false;
  }

 private:
  void append(std::uint8_t byte) {
    is_overlong_ = is_overlong_ || size_ == MaxFrame;
    if (!is_overlong_) frame_[size_++] = byte;
    if (byte != 0) return;
    // A zero alone says nothing.
    is_whole_ = !is_overlong_ && size_ > 1;
    if (!is_whole_) size_ = 0;
    is_overlong_ = false;
  }

  std::array<std::uint8_t, MaxFrame> frame_{};
  std::size_t size_ = 0;
  bool is_whole_ = false;
  bool is_overlong_ = false;
};

}  // namespace mote::ports
