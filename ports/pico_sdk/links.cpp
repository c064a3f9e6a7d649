// SPDX-License-Identifier: Apache-2.0
// The two UARTs, whose interrupts fill and empty queues.
#include <array>

#include "config.hpp"
#include "ecosystem/byte_queue.hpp"
#include "firmware/board.hpp"
#include "hardware/gpio.h"
#include "hardware/irq.h"
#include "hardware/sync.h"
#include "hardware/uart.h"
#include "port.hpp"

namespace mote::pico {
namespace {

struct UartLink {
  uart_inst_t* uart;
  ports::ByteQueue<4096> received;
  ports::ByteQueue<2048> to_send;

  void open(uint tx_gpio, uint rx_gpio, irq_handler_t handler) {
    uart_init(uart, MOTE_LINK_BAUD);
    gpio_set_function(tx_gpio, GPIO_FUNC_UART);
    gpio_set_function(rx_gpio, GPIO_FUNC_UART);
    gpio_pull_up(rx_gpio);  // nobody there: silence
    irq_set_exclusive_handler(UART_IRQ_NUM(uart), handler);
    irq_set_enabled(UART_IRQ_NUM(uart), true);
    uart_set_irqs_enabled(uart, true, false);
  }
  // What does not fit is lost; frames come again.
  void take() {
    while (uart_is_readable(uart)) {
      const std::array<std::uint8_t, 1> byte{static_cast<std::uint8_t>(uart_getc(uart))};
      received.write(byte);
    }
  }
  // The hardware interrupts when its queue has run low, so the first bytes are written without it.
  void give() {
    while (uart_is_writable(uart) && !to_send.front().empty()) {
      uart_get_hw(uart)->dr = to_send.front()[0];
      to_send.drop(1);
    }
    uart_set_irqs_enabled(uart, true, !to_send.front().empty());
  }
  void serve() {
    take();
    give();
  }
};

UartLink next{.uart = uart1, .received = {}, .to_send = {}};
UartLink previous{.uart = uart0, .received = {}, .to_send = {}};

UartLink& link_of(std::uint32_t link) {
  return link == 0 ? next : previous;
}

}  // namespace

void open_links() {
  next.open(MOTE_LINK_0_TX_GPIO, MOTE_LINK_0_RX_GPIO, [] { next.serve(); });
  previous.open(MOTE_LINK_1_TX_GPIO, MOTE_LINK_1_RX_GPIO, [] { previous.serve(); });
}

}  // namespace mote::pico

namespace mote::board {

std::uint32_t link_count() {
  return 2;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  return pico::link_of(link).received.read(out);
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  pico::UartLink& uart = pico::link_of(link);
  const std::size_t count = uart.to_send.write(bytes);
  const std::uint32_t interrupts = save_and_disable_interrupts();
  uart.give();
  restore_interrupts(interrupts);
  return count;
}

}  // namespace mote::board
