// SPDX-License-Identifier: Apache-2.0
// Computing while frames pass: on the second core, or where there is none, in a task of lower
// priority than the program, which runs while the program sleeps.
#include <atomic>

#include "firmware/board.hpp"
#include "port.hpp"
#include "sdkconfig.h"

namespace mote::esp_idf {
namespace {

constexpr std::uint32_t kStackBytes = CONFIG_MOTE_COMPUTE_STACK_BYTES;

alignas(16) StackType_t stack_memory[kStackBytes];
StaticTask_t task_memory;
TaskHandle_t worker;
void (*step_to_do)(void*);
void* step_argument;
std::atomic<std::uint32_t> is_done{1};

void work(void*) {
  for (;;) {
    ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    step_to_do(step_argument);
    is_done.store(1, std::memory_order_release);
    wake();
  }
}

}  // namespace
}  // namespace mote::esp_idf

namespace mote::board {

// A notification orders memory between the tasks, so what is written before it is seen after it.
bool start_apart(void (*step)(void*), void* what) {
  using namespace esp_idf;
  if (worker == nullptr) {
    worker =
        xTaskCreateStaticPinnedToCore(work, "mote_compute", kStackBytes, nullptr, kComputePriority,
                                      stack_memory, &task_memory, kComputeCore);
  }
  step_to_do = step;
  step_argument = what;
  is_done.store(0, std::memory_order_release);
  xTaskNotifyGive(worker);
  return true;
}

bool is_apart_done() {
  return esp_idf::is_done.load(std::memory_order_acquire) != 0;
}

}  // namespace mote::board
