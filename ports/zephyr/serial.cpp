// SPDX-License-Identifier: Apache-2.0
// Console and links: UARTs whose interrupts fill and empty queues.
#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/uart.h>

#include <array>

#include "ecosystem/byte_queue.hpp"
#include "firmware/board.hpp"
#include "port.hpp"

namespace mote::zephyr {
namespace {

class Serial {
 public:
  void open(const device* uart) {
    uart_ = uart;
    if (!device_is_ready(uart_)) return;
    uart_irq_callback_user_data_set(uart_, on_interrupt, this);
    uart_irq_rx_enable(uart_);
  }
  std::size_t read(std::span<std::uint8_t> out) { return received_.read(out); }
  std::size_t write(std::span<const std::uint8_t> bytes) {
    const std::size_t count = to_send_.write(bytes);
    if (count > 0) uart_irq_tx_enable(uart_);
    return count;
  }

 private:
  static void on_interrupt(const device* uart, void* self) {
    auto& serial = *static_cast<Serial*>(self);
    for (uart_irq_update(uart); uart_irq_is_pending(uart) > 0; uart_irq_update(uart)) {
      if (uart_irq_rx_ready(uart) > 0) serial.take();
      if (uart_irq_tx_ready(uart) > 0) serial.give();
    }
    wake();
  }
  // What does not fit is lost; frames come again.
  void take() {
    std::array<std::uint8_t, 64> bytes{};
    const int count = uart_fifo_read(uart_, bytes.data(), bytes.size());
    if (count > 0) received_.write(std::span(bytes).first(static_cast<std::size_t>(count)));
  }
  void give() {
    const std::span<const std::uint8_t> front = to_send_.front();
    if (front.empty()) return uart_irq_tx_disable(uart_);
    const int count = uart_fifo_fill(uart_, front.data(), static_cast<int>(front.size()));
    if (count > 0) to_send_.drop(static_cast<std::size_t>(count));
  }

  const device* uart_ = nullptr;
  ports::ByteQueue<2048> received_;
  ports::ByteQueue<2048> to_send_;
};

Serial console;

// The aliases mote-link0 and mote-link1, as far as the devicetree has them, in this order.
#if DT_NODE_EXISTS(DT_ALIAS(mote_link0)) && DT_NODE_EXISTS(DT_ALIAS(mote_link1))
constexpr std::array<const device*, 2> kUarts{DEVICE_DT_GET(DT_ALIAS(mote_link0)),
                                              DEVICE_DT_GET(DT_ALIAS(mote_link1))};
#elif DT_NODE_EXISTS(DT_ALIAS(mote_link0))
constexpr std::array<const device*, 1> kUarts{DEVICE_DT_GET(DT_ALIAS(mote_link0))};
#else
constexpr std::array<const device*, 0> kUarts{};
#endif
std::array<Serial, kUarts.size()> links;

}  // namespace

void open_serial() {
  console.open(DEVICE_DT_GET(DT_CHOSEN(zephyr_console)));
  for (std::size_t i = 0; i < links.size(); ++i) links[i].open(kUarts[i]);
}

}  // namespace mote::zephyr

namespace mote::board {

int read_console() {
  std::array<std::uint8_t, 1> byte{};
  return zephyr::console.read(byte) == 1 ? byte[0] : -1;
}

void write_console(std::string_view text) {
  std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(text.data()),
                                      text.size());
  while (!bytes.empty()) {
    bytes = bytes.subspan(zephyr::console.write(bytes));
    if (!bytes.empty()) sleep();
  }
}

std::uint32_t link_count() {
  return static_cast<std::uint32_t>(zephyr::links.size());
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  return zephyr::links[link].read(out);
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  return zephyr::links[link].write(bytes);
}

}  // namespace mote::board
