// SPDX-License-Identifier: Apache-2.0
// Memory: one arena that the caller hands over; nothing is ever freed singly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mote {

/// Every object in an arena begins at a multiple of this many bytes.
inline constexpr std::size_t kArenaAlignment = 16;

/// Sizes saturate instead of wrapping, so that what does not fit an address space is refused.
constexpr std::size_t saturating_add(std::size_t a, std::size_t b) {
  return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}
constexpr std::size_t saturating_multiply(std::size_t a, std::size_t b) {
  return b != 0 && a > SIZE_MAX / b ? SIZE_MAX : a * b;
}
constexpr std::size_t align_up(std::size_t bytes, std::size_t alignment) {
  return saturating_add(bytes, alignment - 1) / alignment * alignment;
}

/// Hands out consecutive parts of one span of memory. A measuring arena (default constructed) has
/// no memory and only counts, so that one layout function both measures and places: the size that
/// a component states is exact by construction.
class Arena {
 public:
  constexpr Arena() = default;
  /// `memory` must begin at a multiple of `kArenaAlignment` (see `is_aligned`).
  constexpr explicit Arena(std::span<std::byte> memory) : memory_(memory), measuring_(false) {}

  /// `count` objects of T, uninitialised; an empty span when measuring or when memory runs out.
  template <typename T>
  std::span<T> take(std::size_t count) {
    std::byte* begin = take_bytes(saturating_multiply(count, sizeof(T)));
    if (begin == nullptr) return {};
    return {reinterpret_cast<T*>(begin), count};
  }

  /// Bytes asked for so far; may exceed the memory, which is then too small.
  constexpr std::size_t used_bytes() const { return used_; }
  constexpr bool is_exhausted() const { return !measuring_ && used_ > memory_.size(); }
  bool is_aligned() const {
    return reinterpret_cast<std::uintptr_t>(memory_.data()) % kArenaAlignment == 0;
  }

 private:
  /// Not inline: layouts are long rows of `take`.
  [[gnu::noinline]] std::byte* take_bytes(std::size_t bytes) {
    const std::size_t begin = used_;
    used_ = saturating_add(used_, align_up(bytes, kArenaAlignment));
    return measuring_ || used_ > memory_.size() ? nullptr : memory_.data() + begin;
  }

  std::span<std::byte> memory_;
  std::size_t used_ = 0;
  bool measuring_ = true;
};

}  // namespace mote
