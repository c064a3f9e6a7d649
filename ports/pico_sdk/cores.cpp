// SPDX-License-Identifier: Apache-2.0
// Core 1 runs the program, on a stack of its own; core 0 computes apart.
#include <algorithm>
#include <array>
#include <atomic>

#include "config.hpp"
#include "firmware/board.hpp"
#include "hardware/sync.h"
#include "mote_pico.hpp"
#include "pico/multicore.h"
#include "pico/stdlib.h"
#include "port.hpp"

namespace mote::pico {
namespace {

alignas(16) std::array<std::uint32_t, MOTE_STACK_BYTES / sizeof(std::uint32_t)> stack_memory;

int (*entry)();
std::atomic<std::uint32_t> has_step{0};
void (*step_to_do)(void*);
void* step_argument;

void run_program() {
  open_cycles();
  open_links();
  board::exit(entry());
}

}  // namespace

void run(int (*program)()) {
  entry = program;
  open_board();
  stdio_init_all();
  std::ranges::fill(std::as_writable_bytes(std::span(stack_memory)), board::kStackPaint);
  multicore_launch_core1_with_stack(run_program, stack_memory.data(), sizeof(stack_memory));
  for (;;) {
    while (has_step.load(std::memory_order_acquire) == 0) __wfe();
    step_to_do(step_argument);
    has_step.store(0, std::memory_order_release);
    __sev();
  }
}

}  // namespace mote::pico

namespace mote::board {

std::span<const std::byte> stack() {
  return std::as_bytes(std::span(pico::stack_memory));
}

bool start_apart(void (*step)(void*), void* what) {
  using namespace pico;
  step_to_do = step;
  step_argument = what;
  has_step.store(1, std::memory_order_release);
  __sev();
  return true;
}

bool is_apart_done() {
  return pico::has_step.load(std::memory_order_acquire) == 0;
}

// An interrupt, an event of the other core, or the time ends the wait.
void sleep() {
  constexpr std::uint64_t kSleep_us = 1000;
  best_effort_wfe_or_timeout(make_timeout_time_us(kSleep_us));
}

}  // namespace mote::board
