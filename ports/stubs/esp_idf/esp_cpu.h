// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

extern "C" uint32_t esp_cpu_get_cycle_count(void);
