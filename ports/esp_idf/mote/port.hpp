// SPDX-License-Identifier: Apache-2.0
// What the files of this port share.
#pragma once

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

namespace mote::esp_idf {

// The program's task and those of links run on core 0, so that a second core only computes.
inline constexpr BaseType_t kProgramCore = 0;
inline constexpr BaseType_t kComputeCore = CONFIG_FREERTOS_NUMBER_OF_CORES - 1;
inline constexpr UBaseType_t kComputePriority = 4;
inline constexpr UBaseType_t kProgramPriority = 5;
inline constexpr UBaseType_t kLinkPriority = 6;

void open_board();  // image, arena, boot number
void open_console();
void open_links();

/// Ends the board::sleep of the program.
void wake();
void wake_from_interrupt(BaseType_t* is_switch_due);

}  // namespace mote::esp_idf
