// SPDX-License-Identifier: Apache-2.0
#pragma once
#define SYS_REBOOT_WARM 0
#define SYS_REBOOT_COLD 1

extern "C" [[noreturn]] void sys_reboot(int type);
