// SPDX-License-Identifier: Apache-2.0
// A link over SPI with a ready line: packets of a fixed size, both ways at once. One chip is the
// master, the other the slave, which drives the ready line: high while it can be clocked, and each
// rising edge asks for a packet. One edge: it is prepared, with nothing to say. Another edge: it
// has something to say.
#pragma once

#include <array>
#include <atomic>

#include "driver/gpio.h"
#include "driver/spi_master.h"
#include "driver/spi_slave.h"
#include "ecosystem/byte_queue.hpp"
#include "ecosystem/packet.hpp"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "link.hpp"

namespace mote::esp_idf {

struct SpiWires {
  spi_host_device_t host;
  int mosi_gpio;
  int miso_gpio;
  int clock_gpio;
  int select_gpio;
  int ready_gpio;
  int clock_hz;  // the master's choice
};

/// The classic ESP32's slave keeps its timing with DMA in modes 1 and 3 alone.
inline constexpr std::uint8_t kSpiMode = 1;

/// What master and slave have in common: queues between the program and the link's task.
class SpiLink : public Link {
 public:
  std::size_t read(std::span<std::uint8_t> out) final { return received_.read(out); }
  std::size_t write(std::span<const std::uint8_t> bytes) final;

 protected:
  SpiLink() = default;
  ~SpiLink() = default;
  void start_task(TaskFunction_t function, const char* name);
  /// Something has been written.
  virtual void notice_bytes() = 0;
  /// Takes what the other side sent; returns whether it has more.
  bool take_packet();

  static constexpr std::size_t kQueueBytes = 4096;
  // DMA wants whole cache lines of internal memory.
  static constexpr std::size_t kAlignment = 64;
  alignas(kAlignment) std::array<std::uint8_t, ports::kPacketBytes> out_{};
  alignas(kAlignment) std::array<std::uint8_t, ports::kPacketBytes> in_{};
  ports::ByteQueue<kQueueBytes> to_send_;
  ports::ByteQueue<kQueueBytes> received_;
  gpio_num_t ready_ = GPIO_NUM_NC;
  TaskHandle_t task_ = nullptr;

 private:
  static constexpr std::uint32_t kStackBytes = 3072;
  alignas(16) std::array<StackType_t, kStackBytes> stack_{};
  StaticTask_t task_memory_{};
};

class SpiMasterLink final : public SpiLink {
 public:
  void open(const SpiWires& wires);

 private:
  static void run(void* self);
  static void on_edge(void* self);
  void notice_bytes() override { xTaskNotifyGive(task_); }
  bool is_due(bool has_waited) const;
  void exchange();

  spi_device_handle_t device_ = nullptr;
  std::atomic<std::uint32_t> edges_{0};  // since the last packet
  bool has_more_ = false;                // the slave has, by its last packet
};

class SpiSlaveLink final : public SpiLink {
 public:
  void open(const SpiWires& wires);

 private:
  static void run(void* self);
  static void on_prepared(spi_slave_transaction_t* transaction);
  static void on_done(spi_slave_transaction_t* transaction);
  void notice_bytes() override { xTaskNotifyGive(task_); }
  void exchange();
  void ask();
  void set_prepared(bool is_prepared);

  spi_host_device_t host_ = SPI2_HOST;
  portMUX_TYPE lock_ = portMUX_INITIALIZER_UNLOCKED;  // of the line and `is_prepared_`
  std::atomic<std::uint32_t> is_prepared_{0};
  std::atomic<std::uint32_t> is_done_{0};
};

}  // namespace mote::esp_idf
