// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

extern "C" void multicore_launch_core1_with_stack(void (*entry)(void), uint32_t* stack_bottom,
                                                  size_t stack_size_bytes);
