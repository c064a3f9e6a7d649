// SPDX-License-Identifier: Apache-2.0
// The loops of matvec_armv7em.cpp, which alone includes it, for int4, in assembly: two rows at a
// time, whose sums are kept for what follows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mote/matrix.hpp"
#include "mote/scale.hpp"

namespace mote {
namespace {

/// Rows that are multiplied with the same widened blocks. The assembly below knows its layout.
struct Pass {
  std::int64_t* sums;  // of the rows, which are even in number; products are added
  const std::int64_t* sums_end;
  const std::uint32_t* widened;
  std::uint32_t row_skip;  // bytes from the last block of a row to the first of the next but one
  const std::uint8_t* factors;   // of the first row
  std::uint32_t factors_of_row;  // from there to those of the second row
  std::uint32_t factor_skip;     // as row_skip
};
static_assert(offsetof(Pass, sums_end) == 4 && offsetof(Pass, widened) == 8 &&
              offsetof(Pass, row_skip) == 12 && offsetof(Pass, factors) == 16 &&
              offsetof(Pass, factors_of_row) == 20 && offsetof(Pass, factor_skip) == 24);

// Each function below multiplies rows, two at a time from row0 and row1 on. A widened block is
//   -8 times the sum of its lanes, since nibbles are stored plus 8
//   B / 2 words of two lanes each
//   2 * scale, plus 1 in the last block

// clang-format off

// Four bytes of int4 of one row, eight lanes: r12 masks two nibbles, r8 and r9 are scratch.
#define MOTE_INT4_ROW(row, sum)                \
  "ldr r8, [" row "], #4\n"                    \
  "and r9, r12, r8\n"                          \
  "smlad " sum ", r9, r4, " sum "\n"           \
  "and r9, r12, r8, lsr #4\n"                  \
  "smlad " sum ", r9, r5, " sum "\n"           \
  "and r9, r12, r8, lsr #8\n"                  \
  "smlad " sum ", r9, r6, " sum "\n"           \
  "and r9, r12, r8, lsr #12\n"                 \
  "smlad " sum ", r9, r7, " sum "\n"

// The sums are [sp] and [sp, #8], the pass [sp, #16]; r10 and r11 are the dot products of a block,
// r0 the first row's factors, lr further the second's.
#define MOTE_MULTIPLY_INT4(block)                                     \
  asm("push {r0, r4-r11, lr}\n"                                       \
      "mov r9, r0\n"                                                  \
      "ldr lr, [r0, #20]\n"                                           \
      "ldr r4, [r9]\n"                                                \
      "ldr r0, [r0, #16]\n"                                           \
      "sub sp, sp, #16\n"                                             \
      "mov r12, #0x000f000f\n"                                        \
      "2:\n"                                                          \
      "ldm r4, {r4-r7}\n"                                             \
      "ldr r3, [r9, #8]\n"                                            \
      "stm sp, {r4-r7}\n"                                             \
      "1:\n"                                                          \
      "ldr r10, [r3], #4\n"                                           \
      "mov r11, r10\n"                                                \
      ".rept " #block " / 8\n"                                        \
      "ldmia r3!, {r4-r7}\n"                                          \
      MOTE_INT4_ROW("r1", "r10")                                      \
      MOTE_INT4_ROW("r2", "r11")                                      \
      ".endr\n"                                                       \
      "ldrb r6, [r0, lr]\n"                                           \
      "ldrb r5, [r0], #1\n"                                           \
      "ldr r4, [r3], #4\n"                                            \
      "mul r11, r11, r6\n"                                            \
      "mul r10, r10, r5\n"                                            \
      "lsrs r4, r4, #1\n"                                             \
      "ldm sp, {r5-r8}\n"                                             \
      "smlal r5, r6, r10, r4\n"                                       \
      "smlal r7, r8, r11, r4\n"                                       \
      "stm sp, {r5-r8}\n"                                             \
      "bcc 1b\n"                                                      \
      "ldr r9, [sp, #16]\n"                                           \
      "ldr r10, [r9, #24]\n"                                          \
      "ldr r4, [r9]\n"                                                \
      "add r0, r0, r10\n"                                             \
      "ldr r10, [r9, #12]\n"                                          \
      "stmia r4!, {r5-r8}\n"                                          \
      "add r1, r1, r10\n"                                             \
      "add r2, r2, r10\n"                                             \
      "ldr r8, [r9, #4]\n"                                            \
      "str r4, [r9]\n"                                                \
      "cmp r4, r8\n"                                                  \
      "bne 2b\n"                                                      \
      "add sp, sp, #20\n"                                             \
      "pop {r4-r11, pc}\n")

#define MOTE_DEFINE_INT4(block)                                                                \
  [[gnu::naked]] void multiply_int4_##block(Pass*, const std::uint8_t*, const std::uint8_t*) { \
    MOTE_MULTIPLY_INT4(block);                                                                 \
  }
MOTE_DEFINE_INT4(8)
MOTE_DEFINE_INT4(16)
MOTE_DEFINE_INT4(32)
MOTE_DEFINE_INT4(64)

// clang-format on

/// Calls by name, so that the depth of the stack can be told from the calls.
void multiply_int4(std::uint32_t block, Pass* pass, const std::uint8_t* row0,
                   const std::uint8_t* row1) {
  switch (block) {
    case 8:
      return multiply_int4_8(pass, row0, row1);
    case 16:
      return multiply_int4_16(pass, row0, row1);
    case 32:
      return multiply_int4_32(pass, row0, row1);
    default:
      return multiply_int4_64(pass, row0, row1);
  }
}

}  // namespace
}  // namespace mote
