// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

extern "C" void watchdog_reboot(uint32_t pc, uint32_t sp, uint32_t delay_ms);
