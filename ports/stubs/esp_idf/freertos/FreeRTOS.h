// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "sdkconfig.h"

typedef int BaseType_t;
typedef unsigned UBaseType_t;
typedef uint32_t TickType_t;
typedef uint8_t StackType_t;
typedef struct {
  void* reserved[90];
} StaticTask_t;
typedef struct {
  uint32_t owner;
  uint32_t count;
} portMUX_TYPE;

#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)
#define pdPASS pdTRUE
#define portMAX_DELAY ((TickType_t)0xffffffffUL)
#define pdMS_TO_TICKS(ms) ((TickType_t)((uint64_t)(ms)*CONFIG_FREERTOS_HZ / 1000))
#define portMUX_INITIALIZER_UNLOCKED \
  { 0xB33FFFFF, 0 }

extern "C" {
void vPortEnterCritical(portMUX_TYPE* lock);
void vPortExitCritical(portMUX_TYPE* lock);
void vPortYieldFromISR(void);
BaseType_t xPortGetCoreID(void);
}
#define portENTER_CRITICAL(lock) vPortEnterCritical(lock)
#define portEXIT_CRITICAL(lock) vPortExitCritical(lock)
#define portENTER_CRITICAL_ISR(lock) vPortEnterCritical(lock)
#define portEXIT_CRITICAL_ISR(lock) vPortExitCritical(lock)
#define portYIELD_FROM_ISR(is_due)   \
  do {                               \
    if (is_due) vPortYieldFromISR(); \
  } while (0)
