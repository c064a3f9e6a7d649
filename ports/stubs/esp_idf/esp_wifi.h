// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

#include "esp_err.h"

typedef enum { WIFI_MODE_NULL, WIFI_MODE_STA } wifi_mode_t;
typedef enum { WIFI_IF_STA, WIFI_IF_AP } wifi_interface_t;
typedef enum { WIFI_PS_NONE, WIFI_PS_MIN_MODEM } wifi_ps_type_t;
typedef enum { WIFI_STORAGE_FLASH, WIFI_STORAGE_RAM } wifi_storage_t;
typedef enum { WIFI_SECOND_CHAN_NONE, WIFI_SECOND_CHAN_ABOVE } wifi_second_chan_t;
typedef enum { WIFI_PHY_MODE_LR, WIFI_PHY_MODE_11B, WIFI_PHY_MODE_11G } wifi_phy_mode_t;
typedef enum { WIFI_PHY_RATE_1M_L = 0x00, WIFI_PHY_RATE_24M = 0x09 } wifi_phy_rate_t;
typedef struct {
  wifi_phy_mode_t phymode;
  wifi_phy_rate_t rate;
  bool ersu;
  bool dcm;
} wifi_tx_rate_config_t;
typedef struct {
  int magic;
} wifi_init_config_t;
#define WIFI_INIT_CONFIG_DEFAULT() \
  { 0x1F2F3F4F }

extern "C" {
esp_err_t esp_wifi_init(const wifi_init_config_t* config);
esp_err_t esp_wifi_set_storage(wifi_storage_t storage);
esp_err_t esp_wifi_set_mode(wifi_mode_t mode);
esp_err_t esp_wifi_start(void);
esp_err_t esp_wifi_set_ps(wifi_ps_type_t type);
esp_err_t esp_wifi_set_channel(uint8_t primary, wifi_second_chan_t second);
}
