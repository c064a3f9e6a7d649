// SPDX-License-Identifier: Apache-2.0
// A link to a neighbour, of whatever kind Kconfig names. Neither call waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mote::esp_idf {

class Link {
 public:
  virtual std::size_t read(std::span<std::uint8_t> out) = 0;
  virtual std::size_t write(std::span<const std::uint8_t> bytes) = 0;

 protected:
  ~Link() = default;
};

}  // namespace mote::esp_idf
