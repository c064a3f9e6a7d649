// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "driver/spi_common.h"

typedef struct {
  uint32_t flags;
  size_t length;
  size_t trans_len;
  const void* tx_buffer;
  void* rx_buffer;
  void* user;
} spi_slave_transaction_t;
typedef void (*slave_transaction_cb_t)(spi_slave_transaction_t* transaction);
typedef struct {
  int spics_io_num;
  uint32_t flags;
  int queue_size;
  uint8_t mode;
  slave_transaction_cb_t post_setup_cb;
  slave_transaction_cb_t post_trans_cb;
} spi_slave_interface_config_t;

extern "C" {
esp_err_t spi_slave_initialize(spi_host_device_t host, const spi_bus_config_t* bus,
                               const spi_slave_interface_config_t* slave,
                               spi_dma_chan_t dma_channel);
esp_err_t spi_slave_queue_trans(spi_host_device_t host, const spi_slave_transaction_t* transaction,
                                uint32_t ticks_to_wait);
esp_err_t spi_slave_get_trans_result(spi_host_device_t host, spi_slave_transaction_t** transaction,
                                     uint32_t ticks_to_wait);
}
