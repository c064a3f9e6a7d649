// SPDX-License-Identifier: Apache-2.0
// Links over wires: of each, Kconfig names the kind and the pins.
#include <array>

#include "firmware/board.hpp"
#include "link_spi.hpp"
#include "link_uart.hpp"
#include "mote/frame.hpp"
#include "port.hpp"
#include "sdkconfig.h"

namespace mote::esp_idf {
namespace {

#if CONFIG_MOTE_LINK_0_UART
UartLink link_0;
constexpr UartWires kWires0{.port = static_cast<uart_port_t>(CONFIG_MOTE_LINK_0_UART_PORT),
                            .tx_gpio = CONFIG_MOTE_LINK_0_TX_GPIO,
                            .rx_gpio = CONFIG_MOTE_LINK_0_RX_GPIO,
                            .baud_rate = CONFIG_MOTE_UART_BAUD};
#else
#if CONFIG_MOTE_LINK_0_SPI_MASTER
SpiMasterLink link_0;
#else
SpiSlaveLink link_0;
#endif
constexpr SpiWires kWires0{.host = static_cast<spi_host_device_t>(CONFIG_MOTE_LINK_0_SPI_HOST - 1),
                           .mosi_gpio = CONFIG_MOTE_LINK_0_MOSI_GPIO,
                           .miso_gpio = CONFIG_MOTE_LINK_0_MISO_GPIO,
                           .clock_gpio = CONFIG_MOTE_LINK_0_CLOCK_GPIO,
                           .select_gpio = CONFIG_MOTE_LINK_0_SELECT_GPIO,
                           .ready_gpio = CONFIG_MOTE_LINK_0_READY_GPIO,
                           .clock_hz = CONFIG_MOTE_SPI_HZ};
#endif

#if CONFIG_MOTE_LINK_1_UART
UartLink link_1;
constexpr UartWires kWires1{.port = static_cast<uart_port_t>(CONFIG_MOTE_LINK_1_UART_PORT),
                            .tx_gpio = CONFIG_MOTE_LINK_1_TX_GPIO,
                            .rx_gpio = CONFIG_MOTE_LINK_1_RX_GPIO,
                            .baud_rate = CONFIG_MOTE_UART_BAUD};
#elif CONFIG_MOTE_LINK_1_NONE
struct NoWires {};
struct NoLink {
  void open(const NoWires&) {}
} link_1;
constexpr NoWires kWires1;
#else
#if CONFIG_MOTE_LINK_1_SPI_MASTER
SpiMasterLink link_1;
#else
SpiSlaveLink link_1;
#endif
constexpr SpiWires kWires1{.host = static_cast<spi_host_device_t>(CONFIG_MOTE_LINK_1_SPI_HOST - 1),
                           .mosi_gpio = CONFIG_MOTE_LINK_1_MOSI_GPIO,
                           .miso_gpio = CONFIG_MOTE_LINK_1_MISO_GPIO,
                           .clock_gpio = CONFIG_MOTE_LINK_1_CLOCK_GPIO,
                           .select_gpio = CONFIG_MOTE_LINK_1_SELECT_GPIO,
                           .ready_gpio = CONFIG_MOTE_LINK_1_READY_GPIO,
                           .clock_hz = CONFIG_MOTE_SPI_HZ};
#endif

#if CONFIG_MOTE_LINK_1_NONE
constexpr std::array<Link*, 1> kLinks{&link_0};
#else
constexpr std::array<Link*, 2> kLinks{&link_0, &link_1};
#endif

}  // namespace

void open_links() {
  link_0.open(kWires0);
  link_1.open(kWires1);
}

}  // namespace mote::esp_idf

namespace mote::board {

std::uint32_t link_count() {
  return static_cast<std::uint32_t>(esp_idf::kLinks.size());
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  return esp_idf::kLinks[link]->read(out);
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  return esp_idf::kLinks[link]->write(bytes);
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

}  // namespace mote::board
