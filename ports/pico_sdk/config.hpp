// SPDX-License-Identifier: Apache-2.0
// What a program may set by target_compile_definitions.
#pragma once

#include "pico.h"

// Where the model begins in flash: bytes after its start, a multiple of 4096.
#ifndef MOTE_IMAGE_OFFSET
#define MOTE_IMAGE_OFFSET 0x80000
#endif

// Memory for the model. `mote inspect` and `mote plan` say how much it needs.
#ifndef MOTE_ARENA_BYTES
#if PICO_RP2350
#define MOTE_ARENA_BYTES (400 * 1024)
#else
#define MOTE_ARENA_BYTES (180 * 1024)
#endif
#endif

#ifndef MOTE_STACK_BYTES
#define MOTE_STACK_BYTES 12288
#endif

// UART of link 0 is uart1, that of link 1 is uart0; the console is USB.
#ifndef MOTE_LINK_BAUD
#define MOTE_LINK_BAUD 3000000
#endif
#ifndef MOTE_LINK_0_TX_GPIO
#define MOTE_LINK_0_TX_GPIO 4
#endif
#ifndef MOTE_LINK_0_RX_GPIO
#define MOTE_LINK_0_RX_GPIO 5
#endif
#ifndef MOTE_LINK_1_TX_GPIO
#define MOTE_LINK_1_TX_GPIO 0
#endif
#ifndef MOTE_LINK_1_RX_GPIO
#define MOTE_LINK_1_RX_GPIO 1
#endif

// 0: the console or a neighbour tells the seat.
#ifndef MOTE_SEATS
#define MOTE_SEATS 0
#endif
#ifndef MOTE_SEAT
#define MOTE_SEAT 0
#endif
