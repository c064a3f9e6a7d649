// SPDX-License-Identifier: Apache-2.0
// The loops of matvec_armv7em.cpp, which alone includes it, in assembly: two rows at a time, their
// sums kept for what follows or rounded in place.
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
  const std::uint8_t* factors;   // of the first row, int4 only
  std::uint32_t factors_of_row;  // from there to those of the second row
  std::uint32_t factor_skip;     // as row_skip
};
static_assert(offsetof(Pass, sums_end) == 4 && offsetof(Pass, widened) == 8 &&
              offsetof(Pass, row_skip) == 12 && offsetof(Pass, factors) == 16 &&
              offsetof(Pass, factors_of_row) == 20 && offsetof(Pass, factor_skip) == 24);

/// Rows of int8 that are multiplied whole and rounded, two at a time. The assembly below knows its
/// layout. All shifts are those of multiply_shift, less 32.
struct WholeRows {
  const std::uint8_t* rows;  // two
  std::uint32_t row_bytes;
  const std::uint32_t* widened;
  const Scale16* scales;  // of the rows that come next
  std::int32_t* out;      // where the next result goes
  const std::int32_t* out_end;
  std::uint32_t shift;   // of a row whose scale's stored exponent is 0; twice, 16 bits each
  std::uint32_t room;    // most - safe, twice: shifts of more than `most` are not usual
  std::uint32_t safe;    // shift from which on results always fit, twice
  std::uint32_t factor;  // mantissa that all rows share
  std::int64_t sums[2];  // of two rows that are left to the caller
};
static_assert(offsetof(WholeRows, row_bytes) == 4 && offsetof(WholeRows, widened) == 8 &&
              offsetof(WholeRows, scales) == 12 && offsetof(WholeRows, out) == 16 &&
              offsetof(WholeRows, out_end) == 20 && offsetof(WholeRows, shift) == 24 &&
              offsetof(WholeRows, factor) == 36 && offsetof(WholeRows, sums) == 40);

// Each function below multiplies rows, two at a time from row0 and row1 on. A widened block is
//   int4 only: -8 times the sum of its lanes, since nibbles are stored plus 8
//   B / 2 words of two lanes each
//   2 * scale, plus 1 in the last block

// clang-format off

// Eight int8 lanes of one row: r8 to r10 are scratch, r4 to r7 hold the vector's lanes.
#define MOTE_INT8_ROW(row, sum, begin)         \
  "ldrd r8, r9, [" row "], #8\n"               \
  "sxtb16 r10, r8\n"                           \
  begin                                        \
  "sxtb16 r8, r8, ror #8\n"                    \
  "smlad " sum ", r8, r5, " sum "\n"           \
  "sxtb16 r10, r9\n"                           \
  "smlad " sum ", r10, r6, " sum "\n"          \
  "sxtb16 r9, r9, ror #8\n"                    \
  "smlad " sum ", r9, r7, " sum "\n"

// The dot products r11 and r12 of one block of two rows, r1 and r2, with the widened lanes r3, and
// its scale, r4. Sets the carry where it was the last.
#define MOTE_INT8_DOTS(block)                                         \
      "ldmia r3!, {r4-r7}\n"                                          \
      MOTE_INT8_ROW("r1", "r11", "smuad r11, r10, r4\n")              \
      MOTE_INT8_ROW("r2", "r12", "smuad r12, r10, r4\n")              \
      ".rept " #block " / 8 - 1\n"                                    \
      "ldmia r3!, {r4-r7}\n"                                          \
      MOTE_INT8_ROW("r1", "r11", "smlad r11, r10, r4, r11\n")         \
      MOTE_INT8_ROW("r2", "r12", "smlad r12, r10, r4, r12\n")         \
      ".endr\n"                                                       \
      "ldr r4, [r3], #4\n"                                            \
      "lsrs r4, r4, #1\n"

// One block of two rows: r0:lr is the first row's sum, [sp] and afterwards r6:r7 the second's.
#define MOTE_INT8_BLOCK(block)                                        \
      MOTE_INT8_DOTS(block)                                           \
      "ldrd r6, r7, [sp]\n"                                           \
      "smlal r0, lr, r11, r4\n"                                       \
      "smlal r6, r7, r12, r4\n"                                       \
      "strd r6, r7, [sp]\n"

// [sp, #8] is the pass.
#define MOTE_MULTIPLY_INT8(block)                                     \
  asm("push {r0, r4-r11, lr}\n"                                       \
      "mov r5, r0\n"                                                  \
      "ldr r4, [r0]\n"                                                \
      "sub sp, sp, #8\n"                                              \
      "2:\n"                                                          \
      "ldrd r6, r7, [r4, #8]\n"                                       \
      "ldrd r0, lr, [r4]\n"                                           \
      "strd r6, r7, [sp]\n"                                           \
      "ldr r3, [r5, #8]\n"                                            \
      "1:\n"                                                          \
      MOTE_INT8_BLOCK(block)                                          \
      "bcc 1b\n"                                                      \
      "ldr r5, [sp, #8]\n"                                            \
      "ldmia r5, {r4, r8-r10}\n"                                      \
      "strd r0, lr, [r4], #8\n"                                       \
      "strd r6, r7, [r4], #8\n"                                       \
      "add r1, r1, r10\n"                                             \
      "add r2, r2, r10\n"                                             \
      "str r4, [r5]\n"                                                \
      "cmp r4, r8\n"                                                  \
      "bne 2b\n"                                                      \
      "add sp, sp, #12\n"                                             \
      "pop {r4-r11, pc}\n")

// multiply_shift of the sum in `low` and `high`, whose row has the mantissa `row` and, in its
// lowest 8 bits, the shift r12: the product without its lowest 32 bits is r10:r9, and the last bit
// that is shifted out the half that rounds up. The result takes the place of the mantissa, r8 and
// r11 are scratch.
#define MOTE_MULTIPLY_SUM(row, low, high)                             \
      "umull r8, r9, " low ", " row "\n"                              \
      "mov r10, #0\n"                                                 \
      "umaal r9, r10, " high ", " row "\n"                            \
      "and r8, " row ", " high ", asr #31\n"                          \
      "sub r10, r10, r8\n"                                            \
      "rsb r8, r12, #32\n"                                            \
      "lsl r11, r10, r8\n"
#define MOTE_ROUND(row, low, high)                                    \
      MOTE_MULTIPLY_SUM(row, low, high)                               \
      "lsrs r9, r9, r12\n"                                            \
      "adc " row ", r9, r11\n"
// The same where the result may be too large: then on to 5.
#define MOTE_ROUND_CHECKED(row, low, high)                            \
      MOTE_MULTIPLY_SUM(row, low, high)                               \
      "asr r8, r11, r8\n"                                             \
      "cmp r8, r10\n"                                                 \
      "bne 5f\n"                                                      \
      "lsrs r9, r9, r12\n"                                            \
      "adcs " row ", r9, r11\n"                                       \
      "bvs 5f\n"

// The mantissas of two rows, times the factor r11, from their scales r5 to r4 and r5.
#define MOTE_ROW_MANTISSAS                                            \
      "bic r5, r5, #0xf800f800\n"                                     \
      "orr r5, r5, #0x08000800\n"                                     \
      "uxth r4, r5\n"                                                 \
      "lsr r5, r5, #16\n"                                             \
      "mul r4, r4, r11\n"                                             \
      "mul r5, r5, r11\n"

// [sp, #8] is the WholeRows. Ends behind the last row, or where the shift of one of two rows is
// none of the usual ones, with their sums.
#define MOTE_MULTIPLY_WHOLE_INT8(block)                               \
  asm("push {r0, r4-r11, lr}\n"                                       \
      "ldrd r1, r2, [r0]\n"                                           \
      "ldr r3, [r0, #8]\n"                                            \
      "add r2, r2, r1\n"                                              \
      "sub sp, sp, #8\n"                                              \
      "2:\n"                                                          \
      MOTE_INT8_DOTS(block)                                           \
      "smull r0, lr, r11, r4\n"                                       \
      "smull r6, r7, r12, r4\n"                                       \
      "bcs 7f\n"                                                      \
      "strd r6, r7, [sp]\n"                                           \
      "1:\n"                                                          \
      MOTE_INT8_BLOCK(block)                                          \
      "bcc 1b\n"                                                      \
      "7:\n"                                                          \
      "ldr r3, [sp, #8]\n"                                            \
      "ldr r4, [r3, #12]\n"                                           \
      "ldr r5, [r4], #4\n"                                            \
      "str r4, [r3, #12]\n"                                           \
      "ldrd r8, r9, [r3, #24]\n"                                      \
      "ldrd r10, r11, [r3, #32]\n"                                    \
      "lsr r12, r5, #11\n"                                            \
      "and r12, r12, #0x001f001f\n"                                   \
      "usub16 r12, r8, r12\n"                                         \
      "usub16 r8, r12, r10\n"                                         \
      "uqsub16 r8, r8, r9\n"                                          \
      "cmp r8, #0\n"                                                  \
      "bne 3f\n"                                                      \
      MOTE_ROW_MANTISSAS                                              \
      MOTE_ROUND("r4", "r0", "lr")                                    \
      "lsr r12, r12, #16\n"                                           \
      MOTE_ROUND("r5", "r6", "r7")                                    \
      "6:\n"                                                          \
      "ldrd r8, r9, [r3, #16]\n"                                      \
      "strd r4, r5, [r8], #8\n"                                       \
      "str r8, [r3, #16]\n"                                           \
      "ldrd r4, r3, [r3, #4]\n"                                       \
      "add r1, r1, r4\n"                                              \
      "add r2, r2, r4\n"                                              \
      "cmp r8, r9\n"                                                  \
      "bne 2b\n"                                                      \
      "4:\n"                                                          \
      "add sp, sp, #12\n"                                             \
      "pop {r4-r11, pc}\n"                                            \
      "3:\n"                                                          \
      "mov r8, #0x10001\n"                                            \
      "add r9, r9, r10\n"                                             \
      "sub r9, r9, r8\n"                                              \
      "usub16 r8, r12, r8\n"                                          \
      "uqsub16 r8, r8, r9\n"                                          \
      "cmp r8, #0\n"                                                  \
      "bne 5f\n"                                                      \
      MOTE_ROW_MANTISSAS                                              \
      MOTE_ROUND_CHECKED("r4", "r0", "lr")                            \
      "lsr r12, r12, #16\n"                                           \
      MOTE_ROUND_CHECKED("r5", "r6", "r7")                            \
      "b 6b\n"                                                        \
      "5:\n"                                                          \
      "strd r0, lr, [r3, #40]\n"                                      \
      "strd r6, r7, [r3, #48]\n"                                      \
      "str r2, [r3]\n"                                                \
      "b 4b\n")

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

#define MOTE_DEFINE(block)                                                                    \
  [[gnu::naked]] void multiply_whole_int8_##block(WholeRows*) {                                \
    MOTE_MULTIPLY_WHOLE_INT8(block);                                                           \
  }                                                                                           \
  [[gnu::naked]] void multiply_int8_##block(Pass*, const std::uint8_t*, const std::uint8_t*) { \
    MOTE_MULTIPLY_INT8(block);                                                                \
  }                                                                                           \
  [[gnu::naked]] void multiply_int4_##block(Pass*, const std::uint8_t*, const std::uint8_t*) { \
    MOTE_MULTIPLY_INT4(block);                                                                \
  }
MOTE_DEFINE(8)
MOTE_DEFINE(16)
MOTE_DEFINE(32)
MOTE_DEFINE(64)

// clang-format on

/// Calls by name, so that the depth of the stack can be told from the calls.
void multiply(WeightFormat format, std::uint32_t block, Pass* pass, const std::uint8_t* row0,
              const std::uint8_t* row1) {
  const bool is_int4 = format == WeightFormat::int4;
  switch (block) {
    case 8:
      return is_int4 ? multiply_int4_8(pass, row0, row1) : multiply_int8_8(pass, row0, row1);
    case 16:
      return is_int4 ? multiply_int4_16(pass, row0, row1) : multiply_int8_16(pass, row0, row1);
    case 32:
      return is_int4 ? multiply_int4_32(pass, row0, row1) : multiply_int8_32(pass, row0, row1);
    default:
      return is_int4 ? multiply_int4_64(pass, row0, row1) : multiply_int8_64(pass, row0, row1);
  }
}

void multiply_whole(std::uint32_t block, WholeRows* rows) {
  switch (block) {
    case 8:
      return multiply_whole_int8_8(rows);
    case 16:
      return multiply_whole_int8_16(rows);
    case 32:
      return multiply_whole_int8_32(rows);
    default:
      return multiply_whole_int8_64(rows);
  }
}

}  // namespace
}  // namespace mote
