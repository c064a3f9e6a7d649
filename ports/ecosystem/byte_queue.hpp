// SPDX-License-Identifier: Apache-2.0
// Bytes on their way from an interrupt or task to another: one writes, one reads, neither waits.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mote::ports {

template <std::size_t Bytes>
class ByteQueue {
  static_assert(Bytes >= 2 && (Bytes & (Bytes - 1)) == 0,
                "a power of two, so that counts may wrap");

 public:
  std::size_t size() const {
    return written_.load(std::memory_order_acquire) - read_.load(std::memory_order_acquire);
  }
  std::size_t room() const { return Bytes - size(); }

  /// Takes the first bytes that there is room for and returns how many.
  std::size_t write(std::span<const std::uint8_t> bytes) {
    const std::uint32_t at = written_.load(std::memory_order_relaxed);
    const std::size_t count = std::min(bytes.size(), room());
    for (std::size_t i = 0; i < count; ++i) ring_[(at + i) % Bytes] = bytes[i];
    written_.store(static_cast<std::uint32_t>(at + count), std::memory_order_release);
    return count;
  }
  /// Takes all bytes or none.
  bool write_whole(std::span<const std::uint8_t> bytes) {
    return bytes.size() <= room() && write(bytes) == bytes.size();
  }
  /// Moves what has come to `out`, as far as it fits, and returns how much.
  std::size_t read(std::span<std::uint8_t> out) {
    const std::uint32_t at = read_.load(std::memory_order_relaxed);
    const std::size_t count = std::min(out.size(), size());
    for (std::size_t i = 0; i < count; ++i) out[i] = ring_[(at + i) % Bytes];
    read_.store(static_cast<std::uint32_t>(at + count), std::memory_order_release);
    return count;
  }
  /// The oldest bytes that lie in one piece; they stay until `drop`.
  std::span<const std::uint8_t> front() const {
    const std::size_t from = read_.load(std::memory_order_relaxed) % Bytes;
    return std::span(ring_).subspan(from, std::min(size(), Bytes - from));
  }
  void drop(std::size_t count) {
    read_.store(static_cast<std::uint32_t>(read_.load(std::memory_order_relaxed) + count),
                std::memory_order_release);
  }

 private:
  std::array<std::uint8_t, Bytes> ring_{};
  std::atomic<std::uint32_t> written_{0};  // bytes so far; wraps
  std::atomic<std::uint32_t> read_{0};
};

}  // namespace mote::ports
