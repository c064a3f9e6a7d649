// SPDX-License-Identifier: Apache-2.0
// The loop of matvec_rv32.cpp for short rows, whose number of bytes is known: one address is enough
// for eight of them, so that they can share what is loaded of the vector.
#pragma once

#include <cstdint>

#include "kernels/matvec_rv32.hpp"

namespace mote::rv32 {

/// Rows that go at a time where they have kEightStride bytes and narrow sums.
inline constexpr std::uint32_t kEightRows = 8;
inline constexpr std::uint32_t kEightStride = 64;

// As MOTE_RV32_INT8_WORD and others of eight rows, one `%[stride]` after the other.
#define MOTE_RV32_ROW8(at, index, sum, step) \
  MOTE_RV32_INT8("(" at " + " index " * %[stride])", "a2", sum, step(sum))
#define MOTE_RV32_WORD8(one, two, three, at, step)                                                 \
  "lw t4, " one                                                                                    \
  "(a0)\n"                                                                                         \
  "lw t5, " two                                                                                    \
  "(a0)\n"                                                                                         \
  "lw t6, " three "(a0)\n" MOTE_RV32_ROW8(at, "0", "a3", step) MOTE_RV32_ROW8(at, "1", "a4", step) \
      MOTE_RV32_ROW8(at, "2", "a5", step) MOTE_RV32_ROW8(at, "3", "a6", step)                      \
          MOTE_RV32_ROW8(at, "4", "a7", step) MOTE_RV32_ROW8(at, "5", "t0", step)                  \
              MOTE_RV32_ROW8(at, "6", "t1", step) MOTE_RV32_ROW8(at, "7", "s10", step)
#define MOTE_RV32_ADD8(sum, low) \
  "mul s8, " sum                 \
  ", t4\n"                       \
  "add " low ", " low ", s8\n"
#define MOTE_RV32_STORE8(low, at, above) \
  "srai a6, " low                        \
  ", 28\n"                               \
  "sw " low ", " at                      \
  "(s8)\n"                               \
  "sw a6, " above "(s8)\n"

/// Rows of kEightStride bytes of int8 in blocks of 32 whose sums are narrow, eight at a time: as
/// Int8<8>::multiply<true> else, which takes 7 % more.
inline void multiply_eight_rows(Pass& pass) {
  register Pass* first asm("a0") = &pass;
  asm volatile(
      "li t2, 0x00ff00ff\n"
      "li t3, 0xffff\n"
      "mv ra, a0\n"
      "0:\n"
      "lw a0, 0(ra)\n"
      "lw a1, 4(ra)\n"
      "lw a2, 8(ra)\n"
      "lw s0, 56(ra)\n"
      "addi s9, a2, 8 * %[stride]\n"
      "sw s9, 8(ra)\n"
      "mv s1, s0\n"
      "mv s2, s0\n"
      "mv s3, s0\n"
      "mv s4, s0\n"
      "mv s5, s0\n"
      "mv s6, s0\n"
      "mv s7, s0\n"
      "1:\n"
      // clang-format off
      MOTE_RV32_WORD8("8", "12", "16", "0", MOTE_RV32_SET)
      MOTE_RV32_WORD8("20", "24", "28", "4", MOTE_RV32_MORE)
      MOTE_RV32_WORD8("32", "36", "40", "8", MOTE_RV32_MORE)
      MOTE_RV32_WORD8("44", "48", "52", "12", MOTE_RV32_MORE)
      MOTE_RV32_WORD8("56", "60", "64", "16", MOTE_RV32_MORE)
      MOTE_RV32_WORD8("68", "72", "76", "20", MOTE_RV32_MORE)
      MOTE_RV32_WORD8("80", "84", "88", "24", MOTE_RV32_MORE)
      MOTE_RV32_WORD8("92", "96", "100", "28", MOTE_RV32_MORE)
      "lw t4, 0(a0)\n"
      MOTE_RV32_ADD8("a3", "s0") MOTE_RV32_ADD8("a4", "s1")
      MOTE_RV32_ADD8("a5", "s2") MOTE_RV32_ADD8("a6", "s3")
      MOTE_RV32_ADD8("a7", "s4") MOTE_RV32_ADD8("t0", "s5")
      MOTE_RV32_ADD8("t1", "s6") MOTE_RV32_ADD8("s10", "s7")
      "addi a2, a2, 32\n"
      "addi a0, a0, 104\n"
      "bne a0, a1, 1b\n"
      MOTE_RV32_ROUNDING("32", "16")
      MOTE_RV32_ROUND("0", "0", "s0", "") MOTE_RV32_ROUND("2", "4", "s1", "")
      MOTE_RV32_ROUND("4", "8", "s2", "") MOTE_RV32_ROUND("6", "12", "s3", "")
      MOTE_RV32_ROUND("8", "16", "s4", "") MOTE_RV32_ROUND("10", "20", "s5", "")
      MOTE_RV32_ROUND("12", "24", "s6", "") MOTE_RV32_ROUND("14", "28", "s7", "")
      "lw a6, 36(ra)\n"
      "addi s9, s9, 32\n"
      "bne s9, a6, 0b\n"
      "j 6f\n"
      "5:\n"
      "lw s8, 16(ra)\n"
      MOTE_RV32_STORE8("s0", "0", "4") MOTE_RV32_STORE8("s1", "8", "12")
      MOTE_RV32_STORE8("s2", "16", "20") MOTE_RV32_STORE8("s3", "24", "28")
      MOTE_RV32_STORE8("s4", "32", "36") MOTE_RV32_STORE8("s5", "40", "44")
      MOTE_RV32_STORE8("s6", "48", "52") MOTE_RV32_STORE8("s7", "56", "60")
      "addi s8, s8, 64\n"
      "sw s8, 16(ra)\n"
      "6:\n"
      // clang-format on
      : "+r"(first)
      : [stride] "i"(kEightStride), [narrow] "i"(1)
      : MOTE_RV32_REGISTERS);
}

}  // namespace mote::rv32
