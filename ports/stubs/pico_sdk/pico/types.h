// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef unsigned int uint;
typedef uint64_t absolute_time_t;
typedef volatile uint32_t io_rw_32;
typedef const volatile uint32_t io_ro_32;
