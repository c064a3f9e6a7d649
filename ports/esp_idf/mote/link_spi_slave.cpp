// SPDX-License-Identifier: Apache-2.0
#include "esp_rom_sys.h"
#include "link_spi.hpp"
#include "port.hpp"

namespace mote::esp_idf {
namespace {

// Between two edges: more than the time in which the master answers an interrupt, or it would see
// one edge. The line is low for as long.
constexpr std::uint32_t kPulse_us = 20;

}  // namespace

void SpiSlaveLink::open(const SpiWires& wires) {
  host_ = wires.host;
  ready_ = static_cast<gpio_num_t>(wires.ready_gpio);
  gpio_config_t pin{};
  pin.pin_bit_mask = std::uint64_t{1} << wires.ready_gpio;
  pin.mode = GPIO_MODE_OUTPUT;
  ESP_ERROR_CHECK(gpio_set_level(ready_, 0));
  ESP_ERROR_CHECK(gpio_config(&pin));
  // While no master drives the bus, it must not look like clocks.
  for (const int gpio : {wires.mosi_gpio, wires.clock_gpio, wires.select_gpio}) {
    ESP_ERROR_CHECK(gpio_set_pull_mode(static_cast<gpio_num_t>(gpio), GPIO_PULLUP_ONLY));
  }

  spi_bus_config_t bus{};
  bus.mosi_io_num = wires.mosi_gpio;
  bus.miso_io_num = wires.miso_gpio;
  bus.sclk_io_num = wires.clock_gpio;
  bus.quadwp_io_num = -1;
  bus.quadhd_io_num = -1;
  bus.max_transfer_sz = ports::kPacketBytes;
  spi_slave_interface_config_t slave{};
  slave.spics_io_num = wires.select_gpio;
  slave.mode = kSpiMode;
  slave.queue_size = 1;
  slave.post_setup_cb = on_prepared;
  slave.post_trans_cb = on_done;
  ESP_ERROR_CHECK(spi_slave_initialize(wires.host, &bus, &slave, SPI_DMA_CH_AUTO));
  start_task(run, "mote_spi_slave");
}

void SpiSlaveLink::run(void* self) {
  auto& link = *static_cast<SpiSlaveLink*>(self);
  link.task_ = xTaskGetCurrentTaskHandle();  // interrupts need it before its creator goes on
  for (;;) link.exchange();
}

// Prepares a packet and waits until the master has clocked it, however late.
void SpiSlaveLink::exchange() {
  const bool is_empty = ports::fill_packet(out_, to_send_) == 0;
  spi_slave_transaction_t transaction{};
  transaction.length = ports::kPacketBytes * 8;
  transaction.tx_buffer = out_.data();
  transaction.rx_buffer = in_.data();
  transaction.user = this;
  is_done_.store(0);
  if (spi_slave_queue_trans(host_, &transaction, portMAX_DELAY) != ESP_OK) return;
  for (bool has_asked = false; is_done_.load() == 0;) {
    if (!has_asked && is_prepared_.load() != 0 && (!is_empty || to_send_.size() > 0)) {
      ask();
      has_asked = true;
    }
    ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
  }
  spi_slave_transaction_t* done = nullptr;
  if (spi_slave_get_trans_result(host_, &done, portMAX_DELAY) != ESP_OK) return;
  if (transaction.trans_len == transaction.length) take_packet();
}

// The second rising edge.
void SpiSlaveLink::ask() {
  for (const std::uint32_t level : {0U, 1U}) {
    esp_rom_delay_us(kPulse_us);
    portENTER_CRITICAL(&lock_);
    if (is_prepared_.load() != 0) gpio_set_level(ready_, level);
    portEXIT_CRITICAL(&lock_);
  }
}

// Interrupt: the hardware holds the packet.
void SpiSlaveLink::on_prepared(spi_slave_transaction_t* transaction) {
  static_cast<SpiSlaveLink*>(transaction->user)->set_prepared(true);
}

// Interrupt: the master has clocked it.
void SpiSlaveLink::on_done(spi_slave_transaction_t* transaction) {
  auto& link = *static_cast<SpiSlaveLink*>(transaction->user);
  link.is_done_.store(1);
  link.set_prepared(false);
}

void SpiSlaveLink::set_prepared(bool is_prepared) {
  portENTER_CRITICAL_ISR(&lock_);
  is_prepared_.store(is_prepared);
  gpio_set_level(ready_, is_prepared);
  portEXIT_CRITICAL_ISR(&lock_);
  BaseType_t is_switch_due = pdFALSE;
  vTaskNotifyGiveFromISR(task_, &is_switch_due);
  portYIELD_FROM_ISR(is_switch_due);
}

}  // namespace mote::esp_idf
