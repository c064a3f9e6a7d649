// SPDX-License-Identifier: Apache-2.0
#include "link_uart.hpp"

#include <algorithm>

#include "driver/uart_select.h"
#include "port.hpp"

namespace mote::esp_idf {
namespace {

// At 5 Mbaud 4 KiB last for 8 ms, far longer than the program sleeps.
constexpr int kReceiveBytes = 4096;
constexpr int kSendBytes = 2048;
// Bytes of the hardware's queue (128) that make it interrupt, and how many byte times of silence
// do: few interrupts under load, little delay for a short frame.
constexpr int kFullThreshold = 64;
constexpr std::uint8_t kSilentBytes = 2;

void on_event(uart_port_t, uart_select_notif_t event, BaseType_t* is_switch_due) {
  if (event == UART_SELECT_READ_NOTIF) wake_from_interrupt(is_switch_due);
}

}  // namespace

void UartLink::open(const UartWires& wires) {
  port_ = wires.port;
  uart_config_t config{};
  config.baud_rate = wires.baud_rate;
  config.data_bits = UART_DATA_8_BITS;
  config.parity = UART_PARITY_DISABLE;
  config.stop_bits = UART_STOP_BITS_1;
  config.flow_ctrl = UART_HW_FLOWCTRL_DISABLE;
  config.source_clk = UART_SCLK_DEFAULT;
  ESP_ERROR_CHECK(uart_driver_install(port_, kReceiveBytes, kSendBytes, 0, nullptr, 0));
  ESP_ERROR_CHECK(uart_param_config(port_, &config));
  ESP_ERROR_CHECK(
      uart_set_pin(port_, wires.tx_gpio, wires.rx_gpio, UART_PIN_NO_CHANGE, UART_PIN_NO_CHANGE));
  ESP_ERROR_CHECK(uart_set_rx_full_threshold(port_, kFullThreshold));
  ESP_ERROR_CHECK(uart_set_rx_timeout(port_, kSilentBytes));
  uart_set_select_notif_callback(port_, on_event);
}

std::size_t UartLink::read(std::span<std::uint8_t> out) {
  const int count = uart_read_bytes(port_, out.data(), static_cast<std::uint32_t>(out.size()), 0);
  return static_cast<std::size_t>(std::max(0, count));
}

std::size_t UartLink::write(std::span<const std::uint8_t> bytes) {
  std::size_t room = 0;
  if (uart_get_tx_buffer_free_size(port_, &room) != ESP_OK) return 0;
  const std::size_t count = std::min(room, bytes.size());
  if (count == 0) return 0;
  return static_cast<std::size_t>(std::max(0, uart_write_bytes(port_, bytes.data(), count)));
}

}  // namespace mote::esp_idf
