// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "freertos/FreeRTOS.h"

typedef struct tskTaskControlBlock* TaskHandle_t;
typedef void (*TaskFunction_t)(void*);
#define tskIDLE_PRIORITY ((UBaseType_t)0)

extern "C" {
TaskHandle_t xTaskCreateStaticPinnedToCore(TaskFunction_t code, const char* name,
                                           uint32_t stack_bytes, void* argument,
                                           UBaseType_t priority, StackType_t* stack,
                                           StaticTask_t* task, BaseType_t core);
BaseType_t xTaskCreatePinnedToCore(TaskFunction_t code, const char* name, uint32_t stack_bytes,
                                   void* argument, UBaseType_t priority, TaskHandle_t* created,
                                   BaseType_t core);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
void vTaskDelay(TickType_t ticks);
uint32_t ulTaskNotifyTake(BaseType_t is_cleared, TickType_t ticks);
BaseType_t xTaskNotifyGive(TaskHandle_t task);
void vTaskNotifyGiveFromISR(TaskHandle_t task, BaseType_t* is_switch_due);
}
