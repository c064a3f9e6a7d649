// SPDX-License-Identifier: Apache-2.0
// Memory that nobody may touch for a while: the address sanitizer ends a test that does. Without
// the sanitizer nothing happens.
#pragma once

#include <cstddef>
#include <span>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOTE_TEST_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MOTE_TEST_POISONS 1
#endif
#ifdef MOTE_TEST_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, size) (static_cast<void>(begin), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(begin, size) (static_cast<void>(begin), static_cast<void>(size))
#endif

namespace mote::test {

/// Keeps a region, which begins at a multiple of 8 bytes, from being touched.
class Poison {
 public:
  explicit Poison(std::span<const std::byte> region) : region_(region) {
    ASAN_POISON_MEMORY_REGION(region.data(), region.size());
  }
  Poison(const Poison&) = delete;
  Poison& operator=(const Poison&) = delete;
  ~Poison() { ASAN_UNPOISON_MEMORY_REGION(region_.data(), region_.size()); }

 private:
  std::span<const std::byte> region_;
};

}  // namespace mote::test
