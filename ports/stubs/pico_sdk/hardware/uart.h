// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "pico/types.h"

typedef struct {
  io_rw_32 dr;
} uart_hw_t;
typedef struct uart_inst uart_inst_t;
#define uart0 ((uart_inst_t*)(uart_hw_t*)0x40034000)
#define uart1 ((uart_inst_t*)(uart_hw_t*)0x40038000)
#define UART_IRQ_NUM(uart) (20u + ((uart) == uart1))

extern "C" {
uint uart_init(uart_inst_t* uart, uint baud_rate);
void uart_set_irqs_enabled(uart_inst_t* uart, bool rx_has_data, bool tx_needs_data);
bool uart_is_readable(uart_inst_t* uart);
bool uart_is_writable(uart_inst_t* uart);
char uart_getc(uart_inst_t* uart);
uart_hw_t* uart_get_hw(uart_inst_t* uart);
}
