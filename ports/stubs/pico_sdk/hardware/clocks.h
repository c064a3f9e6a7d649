// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

enum clock_index { clk_ref = 4, clk_sys = 5 };
typedef enum clock_index clock_handle_t;

extern "C" uint32_t clock_get_hz(clock_handle_t clock);
