# SPDX-License-Identifier: Apache-2.0
# FILL IN: the flags of the processor, and what of ports/cortex_m (or ports/riscv32) fits.
set(MOTE_PORT_TOOLCHAIN cortex_m)
set(MOTE_PORT_COMPILE_FLAGS -mcpu=cortex-m3 -mfloat-abi=soft)
set(MOTE_PORT_LINK_FLAGS ${MOTE_PORT_COMPILE_FLAGS})
set(MOTE_PORT_OPTIMIZE -O2)
# FILL IN: kernels of the processor (docs/PORTING.md), or nothing for the portable ones.
set(MOTE_PORT_KERNELS armv6m)
set(MOTE_PORT_SOURCES cortex_m/start.cpp template/board.cpp)
set(MOTE_PORT_PROGRAMS one_chip cluster_node)
