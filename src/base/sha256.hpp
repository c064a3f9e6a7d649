// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), the content hash of images.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace mote {

class Sha256 {
 public:
  void update(std::span<const std::uint8_t> bytes);
  /// The digest of all bytes so far; the object is then used up.
  std::array<std::uint8_t, 32> finish();

 private:
  void compress(const std::uint8_t* block);  // (64)

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> pending_{};
  std::uint32_t pending_count_ = 0;
  std::uint64_t byte_count_ = 0;
};

}  // namespace mote
