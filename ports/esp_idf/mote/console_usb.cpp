// SPDX-License-Identifier: Apache-2.0
// The console on the USB-Serial-JTAG of S3, C3, C6, H2 and P4.
#include "driver/usb_serial_jtag.h"
#include "firmware/board.hpp"
#include "port.hpp"

namespace mote::esp_idf {
namespace {

// Without a reader at the other end of the cable, text is dropped after so long.
constexpr TickType_t kPatience = pdMS_TO_TICKS(100);
constexpr std::size_t kPieceBytes = 128;
bool is_read = true;  // whether somebody took the last text

}  // namespace

void open_console() {
  usb_serial_jtag_driver_config_t config = {.tx_buffer_size = 1024, .rx_buffer_size = 1024};
  ESP_ERROR_CHECK(usb_serial_jtag_driver_install(&config));
}

}  // namespace mote::esp_idf

namespace mote::board {

int read_console() {
  std::uint8_t byte = 0;
  return usb_serial_jtag_read_bytes(&byte, 1, 0) == 1 ? byte : -1;
}

// The driver takes a piece whole or not at all, so pieces are far smaller than its buffer.
void write_console(std::string_view text) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, esp_idf::kPieceBytes);
    const int taken = usb_serial_jtag_write_bytes(piece.data(), piece.size(),
                                                  esp_idf::is_read ? esp_idf::kPatience : 0);
    esp_idf::is_read = taken > 0;
    if (taken <= 0) return;
    text.remove_prefix(piece.size());
  }
}

}  // namespace mote::board
