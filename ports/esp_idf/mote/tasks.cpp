// SPDX-License-Identifier: Apache-2.0
// The task of the program, its stack and its sleep.
#include <algorithm>

#include "firmware/board.hpp"
#include "mote_esp_idf.hpp"
#include "port.hpp"
#include "sdkconfig.h"

namespace mote::esp_idf {
namespace {

static_assert(sizeof(StackType_t) == 1, "ESP-IDF counts stacks in bytes");
constexpr std::uint32_t kStackBytes = CONFIG_MOTE_STACK_BYTES;
// Long enough to leave other tasks their time, short against a retry.
constexpr TickType_t kSleepTicks = std::max<TickType_t>(1, pdMS_TO_TICKS(2));

alignas(16) StackType_t stack_memory[kStackBytes];
StaticTask_t task_memory;
TaskHandle_t program_task;

int (*entry)();

// The task opens the devices itself, so that their interrupts are of its core.
void run(void*) {
  program_task = xTaskGetCurrentTaskHandle();
  open_console();
  open_links();
  board::exit(entry());
}

}  // namespace

void start(int (*program)()) {
  open_board();
  std::fill(std::begin(stack_memory), std::end(stack_memory),
            static_cast<StackType_t>(board::kStackPaint));
  entry = program;
  xTaskCreateStaticPinnedToCore(run, "mote", kStackBytes, nullptr, kProgramPriority, stack_memory,
                                &task_memory, kProgramCore);
}

void wake() {
  xTaskNotifyGive(program_task);
}

void wake_from_interrupt(BaseType_t* is_switch_due) {
  vTaskNotifyGiveFromISR(program_task, is_switch_due);
}

}  // namespace mote::esp_idf

namespace mote::board {

std::span<const std::byte> stack() {
  return std::as_bytes(std::span(esp_idf::stack_memory));
}

void sleep() {
  ulTaskNotifyTake(pdTRUE, esp_idf::kSleepTicks);
}

}  // namespace mote::board
