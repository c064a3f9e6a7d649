// SPDX-License-Identifier: Apache-2.0
#pragma once
#define RVCSR_MCOUNTINHIBIT_OFFSET 0x320
#define RVCSR_MCYCLE_OFFSET 0xb00
