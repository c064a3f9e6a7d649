// SPDX-License-Identifier: Apache-2.0
#pragma once
// What Kconfig would say; the check includes it before each source, as Zephyr's build does.

#define CONFIG_BOARD "mps2"
#define CONFIG_MOTE 1
#define CONFIG_MOTE_ARENA_SIZE 131072
#define CONFIG_MOTE_STACK_SIZE 12288
#define CONFIG_MOTE_COMPUTE_STACK_SIZE 8192
#define CONFIG_MOTE_SEATS 0
#define CONFIG_MOTE_SEAT 0
#define CONFIG_HWINFO 1
#define CONFIG_FLASH_BASE_ADDRESS 0x0
