// SPDX-License-Identifier: Apache-2.0
// Little-endian numbers in byte buffers of any alignment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/platform.hpp"

namespace mote {

/// The integer at `offset`; the caller has checked that it lies inside.
template <typename T>
T load(std::span<const std::uint8_t> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, &bytes[offset], sizeof(T));
  return value;
}

}  // namespace mote
