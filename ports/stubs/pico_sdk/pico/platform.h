// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico.h"

static inline void tight_loop_contents(void) {}
