// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

extern "C" {
bool stdio_init_all(void);
int stdio_getchar_timeout_us(uint32_t timeout_us);
int stdio_put_string(const char* text, int length, bool newline, bool cr_translation);
}
