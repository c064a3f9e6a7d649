// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "zephyr/device.h"

typedef struct {
  int64_t ticks;
} k_timeout_t;
typedef struct z_thread_stack_element {
  char data;
} k_thread_stack_t;
struct k_thread {
  void* reserved[32];
};
struct k_sem {
  unsigned count;
  unsigned limit;
};
typedef struct k_thread* k_tid_t;
typedef void (*k_thread_entry_t)(void* first, void* second, void* third);

#define IS_ENABLED(option) STUB_IS_ENABLED(option)
#define STUB_IS_ENABLED(option) (#option[0] == '1')
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __noinit __attribute__((section(".noinit")))
#define K_PRIO_PREEMPT(priority) (priority)
#define K_NO_WAIT ((k_timeout_t){0})
#define K_FOREVER ((k_timeout_t){-1})
#define K_MSEC(ms) ((k_timeout_t){ms})
#define K_THREAD_STACK_DEFINE(name, size) static k_thread_stack_t __aligned(16) name[size]
#define K_THREAD_STACK_SIZEOF(name) sizeof(name)
#define K_THREAD_STACK_BUFFER(name) ((char*)(name))
#define K_SEM_DEFINE(name, initial, limit) struct k_sem name = {initial, limit}

extern "C" {
k_tid_t k_thread_create(struct k_thread* thread, k_thread_stack_t* stack, size_t stack_size,
                        k_thread_entry_t entry, void* first, void* second, void* third,
                        int priority, uint32_t options, k_timeout_t delay);
int k_sem_take(struct k_sem* sem, k_timeout_t timeout);
void k_sem_give(struct k_sem* sem);
int32_t k_sleep(k_timeout_t timeout);
int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_us_floor64(uint64_t ticks);
uint32_t k_cycle_get_32(void);
int sys_clock_hw_cycles_per_sec(void);
}
