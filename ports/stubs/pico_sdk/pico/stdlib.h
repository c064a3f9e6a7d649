// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/stdio.h"
#include "pico/time.h"
