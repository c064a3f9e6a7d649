// SPDX-License-Identifier: Apache-2.0
#include "link_spi.hpp"
#include "port.hpp"

namespace mote::esp_idf {
namespace {

// After so long without a packet one is tried although no edge came: one may have been missed
// while either chip started.
constexpr TickType_t kPollTicks = pdMS_TO_TICKS(10);

}  // namespace

void SpiMasterLink::open(const SpiWires& wires) {
  spi_bus_config_t bus{};
  bus.mosi_io_num = wires.mosi_gpio;
  bus.miso_io_num = wires.miso_gpio;
  bus.sclk_io_num = wires.clock_gpio;
  bus.quadwp_io_num = -1;
  bus.quadhd_io_num = -1;
  bus.max_transfer_sz = ports::kPacketBytes;
  ESP_ERROR_CHECK(spi_bus_initialize(wires.host, &bus, SPI_DMA_CH_AUTO));
  spi_device_interface_config_t device{};
  device.clock_speed_hz = wires.clock_hz;
  device.spics_io_num = wires.select_gpio;
  device.mode = kSpiMode;
  device.queue_size = 1;
  ESP_ERROR_CHECK(spi_bus_add_device(wires.host, &device, &device_));

  ready_ = static_cast<gpio_num_t>(wires.ready_gpio);
  gpio_config_t pin{};
  pin.pin_bit_mask = std::uint64_t{1} << wires.ready_gpio;
  pin.mode = GPIO_MODE_INPUT;
  pin.pull_down_en = GPIO_PULLDOWN_ENABLE;  // nobody there: not ready
  pin.intr_type = GPIO_INTR_POSEDGE;
  ESP_ERROR_CHECK(gpio_config(&pin));
  const esp_err_t installed = gpio_install_isr_service(0);
  if (installed != ESP_ERR_INVALID_STATE) ESP_ERROR_CHECK(installed);  // by another link: fine
  start_task(run, "mote_spi_master");
  ESP_ERROR_CHECK(gpio_isr_handler_add(ready_, on_edge, this));
}

void SpiMasterLink::on_edge(void* self) {
  auto& link = *static_cast<SpiMasterLink*>(self);
  link.edges_.store(link.edges_.load() + 1);
  BaseType_t is_switch_due = pdFALSE;
  vTaskNotifyGiveFromISR(link.task_, &is_switch_due);
  portYIELD_FROM_ISR(is_switch_due);
}

bool SpiMasterLink::is_due(bool has_waited) const {
  if (gpio_get_level(ready_) == 0) return false;
  if (has_waited) return true;
  const std::uint32_t edges = edges_.load();
  return edges > 1 || (edges == 1 && (has_more_ || to_send_.size() > 0));
}

void SpiMasterLink::run(void* self) {
  auto& link = *static_cast<SpiMasterLink*>(self);
  link.task_ = xTaskGetCurrentTaskHandle();  // interrupts need it before its creator goes on
  for (;;) {
    const bool has_waited = ulTaskNotifyTake(pdTRUE, kPollTicks) == 0;
    if (link.is_due(has_waited)) {
      link.exchange();
      while (link.is_due(false)) link.exchange();
    }
  }
}

void SpiMasterLink::exchange() {
  edges_.store(0);
  ports::fill_packet(out_, to_send_);
  spi_transaction_t transaction{};
  transaction.length = ports::kPacketBytes * 8;
  transaction.tx_buffer = out_.data();
  transaction.rx_buffer = in_.data();
  has_more_ = spi_device_transmit(device_, &transaction) == ESP_OK && take_packet();
}

}  // namespace mote::esp_idf
