// SPDX-License-Identifier: Apache-2.0
// A link over a UART, both ways at once.
#pragma once

#include "driver/uart.h"
#include "link.hpp"

namespace mote::esp_idf {

struct UartWires {
  uart_port_t port;
  int tx_gpio;
  int rx_gpio;
  int baud_rate;  // up to 5,000,000
};

class UartLink final : public Link {
 public:
  void open(const UartWires& wires);
  std::size_t read(std::span<std::uint8_t> out) override;
  std::size_t write(std::span<const std::uint8_t> bytes) override;

 private:
  uart_port_t port_ = UART_NUM_0;
};

}  // namespace mote::esp_idf
