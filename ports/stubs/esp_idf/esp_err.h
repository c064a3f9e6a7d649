// SPDX-License-Identifier: Apache-2.0
#pragma once
#define ESP_OK 0
#define ESP_ERR_INVALID_STATE 0x103
typedef int esp_err_t;
#define ESP_ERROR_CHECK(x) ((void)(x))
