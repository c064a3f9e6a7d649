// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/types.h"

typedef void (*irq_handler_t)(void);

extern "C" {
void irq_set_exclusive_handler(uint number, irq_handler_t handler);
void irq_set_enabled(uint number, bool enabled);
}
