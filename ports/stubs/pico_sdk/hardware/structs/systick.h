// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/types.h"

typedef struct {
  io_rw_32 csr;
  io_rw_32 rvr;
  io_rw_32 cvr;
  io_ro_32 calib;
} systick_hw_t;
#define systick_hw ((systick_hw_t*)0xe000e010)
