// SPDX-License-Identifier: Apache-2.0
// Registers of devices at fixed addresses.
#pragma once

#include <cstdint>

namespace mote::port {

inline volatile std::uint32_t& word_at(std::uint32_t address) {
  return *reinterpret_cast<volatile std::uint32_t*>(address);
}

inline volatile std::uint8_t& byte_at(std::uint32_t address) {
  return *reinterpret_cast<volatile std::uint8_t*>(address);
}

/// A 64-bit counter that is read in two halves.
template <typename ReadLow, typename ReadHigh>
std::uint64_t read_halves(ReadLow low, ReadHigh high) {
  for (;;) {
    const std::uint32_t before = high();
    const std::uint32_t value = low();
    if (high() == before) return std::uint64_t{before} << 32 | value;
  }
}

}  // namespace mote::port
