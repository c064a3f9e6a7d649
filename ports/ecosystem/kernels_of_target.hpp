// SPDX-License-Identifier: Apache-2.0
// The set of kernels for the processor that a package is compiled for, by what compilers say of it.
// Arduino and PlatformIO compile every source of a library: in their packages a source of some sets
// alone stands between `#if defined(MOTE_KERNELS_<SET>)` and `#endif` (scripts/package_library.sh).
// Whoever defines one of these wins.
#pragma once

#if defined(MOTE_KERNELS_PORTABLE) || defined(MOTE_KERNELS_ARMV6M) || \
    defined(MOTE_KERNELS_ARMV7EM) || defined(MOTE_KERNELS_MVE) || defined(MOTE_KERNELS_RV32)
#elif defined(__riscv) && __riscv_xlen == 32 && defined(__riscv_mul)
#define MOTE_KERNELS_RV32 1
#elif defined(__ARM_FEATURE_MVE)
#define MOTE_KERNELS_MVE 1
#elif defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && __ARM_ARCH_PROFILE == 'M'
#define MOTE_KERNELS_ARMV7EM 1
#elif (defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M') || defined(__XTENSA__)
#define MOTE_KERNELS_ARMV6M 1
#else
#define MOTE_KERNELS_PORTABLE 1
#endif
