// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/types.h"

extern "C" {
uint64_t time_us_64(void);
absolute_time_t make_timeout_time_us(uint64_t us);
bool best_effort_wfe_or_timeout(absolute_time_t timeout);
}
