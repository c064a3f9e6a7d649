// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "driver/spi_common.h"

typedef struct {
  uint8_t mode;
  int clock_speed_hz;
  int spics_io_num;
  uint32_t flags;
  int queue_size;
} spi_device_interface_config_t;
typedef struct {
  uint32_t flags;
  size_t length;
  size_t rxlength;
  void* user;
  const void* tx_buffer;
  void* rx_buffer;
} spi_transaction_t;
typedef struct spi_device_t* spi_device_handle_t;

extern "C" {
esp_err_t spi_bus_add_device(spi_host_device_t host, const spi_device_interface_config_t* config,
                             spi_device_handle_t* handle);
esp_err_t spi_device_transmit(spi_device_handle_t handle, spi_transaction_t* transaction);
}
