// SPDX-License-Identifier: Apache-2.0
// CRC-32 of IEEE 802.3.
#pragma once

#include <cstdint>
#include <span>

namespace mote {

/// The checksum of `bytes`; `crc` continues from the result over the bytes before them.
std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0);

}  // namespace mote
