// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "esp_err.h"

extern "C" esp_err_t esp_event_loop_create_default(void);
