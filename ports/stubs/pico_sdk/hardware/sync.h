// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

extern "C" {
void __sev(void);
void __wfe(void);
uint32_t save_and_disable_interrupts(void);
void restore_interrupts(uint32_t status);
}
