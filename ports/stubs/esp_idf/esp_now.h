// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"
#include "esp_wifi.h"

#define ESP_ERR_ESPNOW_NO_MEM (0x3000 + 100 + 3)
#define ESP_NOW_ETH_ALEN 6
#define ESP_NOW_KEY_LEN 16
#define ESP_NOW_MAX_DATA_LEN 250

typedef enum { ESP_NOW_SEND_SUCCESS, ESP_NOW_SEND_FAIL } esp_now_send_status_t;
typedef struct {
  uint8_t peer_addr[ESP_NOW_ETH_ALEN];
  uint8_t lmk[ESP_NOW_KEY_LEN];
  uint8_t channel;
  wifi_interface_t ifidx;
  bool encrypt;
  void* priv;
} esp_now_peer_info_t;
typedef struct {
  uint8_t* src_addr;
  uint8_t* des_addr;
} esp_now_recv_info_t;
typedef struct {
  uint8_t* des_addr;
} esp_now_send_info_t;
typedef wifi_tx_rate_config_t esp_now_rate_config_t;
typedef void (*esp_now_recv_cb_t)(const esp_now_recv_info_t* info, const uint8_t* data, int length);
typedef void (*esp_now_send_cb_t)(const esp_now_send_info_t* info, esp_now_send_status_t status);

extern "C" {
esp_err_t esp_now_init(void);
esp_err_t esp_now_register_recv_cb(esp_now_recv_cb_t callback);
esp_err_t esp_now_register_send_cb(esp_now_send_cb_t callback);
esp_err_t esp_now_add_peer(const esp_now_peer_info_t* peer);
esp_err_t esp_now_send(const uint8_t* peer_addr, const uint8_t* data, size_t length);
esp_err_t esp_now_set_peer_rate_config(const uint8_t* peer_addr, esp_now_rate_config_t* config);
}
