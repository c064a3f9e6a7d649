// SPDX-License-Identifier: Apache-2.0
// The program's thread, and one of lower priority that computes while the program sleeps or, with
// several processors, on another.
#include <zephyr/kernel.h>

#include <algorithm>
#include <atomic>

#include "firmware/board.hpp"
#include "mote_zephyr.hpp"
#include "port.hpp"

namespace mote::zephyr {
namespace {

constexpr int kProgramPriority = K_PRIO_PREEMPT(5);
constexpr int kComputePriority = K_PRIO_PREEMPT(6);

K_THREAD_STACK_DEFINE(program_stack, CONFIG_MOTE_STACK_SIZE);
K_THREAD_STACK_DEFINE(compute_stack, CONFIG_MOTE_COMPUTE_STACK_SIZE);
K_SEM_DEFINE(awake, 0, 1);
K_SEM_DEFINE(has_step, 0, 1);
k_thread program_thread;
k_thread compute_thread;

int (*entry)();
bool has_worker = false;
void (*step_to_do)(void*);
void* step_argument;
std::atomic<std::uint32_t> is_done{1};

std::span<std::byte> stack_memory() {
  return std::as_writable_bytes(
      std::span(K_THREAD_STACK_BUFFER(program_stack), K_THREAD_STACK_SIZEOF(program_stack)));
}

void run(void*, void*, void*) {
  open_board();
  open_serial();
  board::exit(entry());
}

void work(void*, void*, void*) {
  for (;;) {
    k_sem_take(&has_step, K_FOREVER);
    step_to_do(step_argument);
    is_done.store(1, std::memory_order_release);
    wake();
  }
}

}  // namespace

void start(int (*program)()) {
  entry = program;
  std::ranges::fill(stack_memory(), board::kStackPaint);
  k_thread_create(&program_thread, program_stack, K_THREAD_STACK_SIZEOF(program_stack), run,
                  nullptr, nullptr, nullptr, kProgramPriority, 0, K_NO_WAIT);
}

void wake() {
  k_sem_give(&awake);
}

}  // namespace mote::zephyr

namespace mote::board {

std::span<const std::byte> stack() {
  return zephyr::stack_memory();
}

void sleep() {
  k_sem_take(&zephyr::awake, K_MSEC(2));
}

bool start_apart(void (*step)(void*), void* what) {
  using namespace zephyr;
  if (!has_worker) {
    k_thread_create(&compute_thread, compute_stack, K_THREAD_STACK_SIZEOF(compute_stack), work,
                    nullptr, nullptr, nullptr, kComputePriority, 0, K_NO_WAIT);
    has_worker = true;
  }
  step_to_do = step;
  step_argument = what;
  is_done.store(0, std::memory_order_release);
  k_sem_give(&has_step);
  return true;
}

bool is_apart_done() {
  return zephyr::is_done.load(std::memory_order_acquire) != 0;
}

}  // namespace mote::board
