// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/types.h"

#define PICO_RP2350 0
#define PICO_BOARD "pico"
#define PICO_FLASH_SIZE_BYTES (2 * 1024 * 1024)
#define XIP_BASE 0x10000000u
