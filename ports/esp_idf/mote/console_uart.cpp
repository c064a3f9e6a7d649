// SPDX-License-Identifier: Apache-2.0
// The console on a UART. Pins are those that ESP-IDF's own console has set.
#include "driver/uart.h"
#include "driver/uart_select.h"
#include "firmware/board.hpp"
#include "port.hpp"
#include "sdkconfig.h"

namespace mote::esp_idf {
namespace {

constexpr uart_port_t kPort = static_cast<uart_port_t>(CONFIG_MOTE_CONSOLE_UART_PORT);
constexpr int kBufferBytes = 1024;

void on_event(uart_port_t, uart_select_notif_t event, BaseType_t* is_switch_due) {
  if (event == UART_SELECT_READ_NOTIF) wake_from_interrupt(is_switch_due);
}

}  // namespace

void open_console() {
  ESP_ERROR_CHECK(uart_driver_install(kPort, kBufferBytes, kBufferBytes, 0, nullptr, 0));
  uart_set_select_notif_callback(kPort, on_event);
}

}  // namespace mote::esp_idf

namespace mote::board {

int read_console() {
  std::uint8_t byte = 0;
  return uart_read_bytes(esp_idf::kPort, &byte, 1, 0) == 1 ? byte : -1;
}

void write_console(std::string_view text) {
  uart_write_bytes(esp_idf::kPort, text.data(), text.size());
}

}  // namespace mote::board
