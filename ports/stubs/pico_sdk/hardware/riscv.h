// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stdint.h>

uint32_t riscv_read_csr(uint32_t csr);
void riscv_clear_csr(uint32_t csr, uint32_t bits);
