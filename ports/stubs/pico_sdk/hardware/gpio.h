// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/types.h"

typedef enum gpio_function { GPIO_FUNC_SPI = 1, GPIO_FUNC_UART = 2 } gpio_function_t;

extern "C" {
void gpio_set_function(uint gpio, gpio_function_t function);
void gpio_pull_up(uint gpio);
}
