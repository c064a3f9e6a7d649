// SPDX-License-Identifier: Apache-2.0
// Little-endian numbers in byte buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/platform.hpp"

namespace mote {

/// The integer at `offset`, of any alignment; the caller has checked that it lies inside.
template <typename T>
T load(std::span<const std::uint8_t> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, &bytes[offset], sizeof(T));
  return value;
}

/// The same of a place that is aligned as T is.
template <typename T>
T load_aligned(std::span<const std::uint8_t> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, __builtin_assume_aligned(&bytes[offset], alignof(T)), sizeof(T));
  return value;
}

}  // namespace mote
