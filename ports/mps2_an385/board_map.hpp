// SPDX-License-Identifier: Apache-2.0
// The MPS2 board with image AN385 (Cortex-M3).
#pragma once

#include "cortex_m/mps2_map.hpp"
