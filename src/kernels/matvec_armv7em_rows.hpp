// SPDX-License-Identifier: Apache-2.0
// Rows of int8 and int8_pairs for matvec_armv7em.cpp, which alone includes it, in assembly: two
// rows at a time, in pieces of code that jump from one to the next as Rows says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mote/scale.hpp"

namespace mote {
namespace {

/// A piece of code, which no C++ calls.
using Piece = void();

/// What the pieces work on; they know its layout, and have a copy of all but `row` and `stride` on
/// the stack. All shifts are those of multiply_shift, less 32.
struct Rows {
  std::int64_t sums[2];          // of two rows: what they begin with, and those left to the caller
  std::uint32_t highest;         // scale of the least shift that is usual with mantissa 4095; twice
  std::uint32_t factor;          // mantissa that all rows share
  std::uint32_t top;             // factor * 4095
  const void* end;               // of scales, or of kept
  const std::uint32_t* widened;  // chunks
  const Scale16* scales;         // of the rows that come next
  std::int32_t* out;             // where the next results go
  std::uint32_t unit;            // 2^(32 - least usual shift); of rows of 64 that shift
  std::uint32_t range;           // highest less the lowest usual scale, twice; of rows of 64 0x7fff
  Piece* start;                  // of two rows
  Piece* then;                   // behind the chunks of 32 lanes
  Piece* finish;                 // behind all chunks
  std::uint32_t step;            // from the end of the second row to the next but one
  std::uint32_t row_bytes;
  std::int64_t* kept;            // sums that come next, where `finish` is keep_sums
  const std::uint8_t* row;       // first
  std::uint32_t stride;          // from there to the second
  std::int64_t begin;            // of sums
};
static_assert(offsetof(Rows, highest) == 16 && offsetof(Rows, end) == 28 &&
              offsetof(Rows, scales) == 36 && offsetof(Rows, out) == 40 &&
              offsetof(Rows, unit) == 44 && offsetof(Rows, range) == 48 &&
              offsetof(Rows, start) == 52 && offsetof(Rows, then) == 56 &&
              offsetof(Rows, finish) == 60 && offsetof(Rows, step) == 64 &&
              offsetof(Rows, row_bytes) == 68 && offsetof(Rows, kept) == 72 &&
              offsetof(Rows, row) == 76 && offsetof(Rows, stride) == 80);

// Between pieces r10 and r11 are the rows, r12 is the vector, [sp] the copy of Rows and [sp, #76]
// what it is a copy of. A chunk is 8, 16 or 32 lanes of one block. Its words are those of its first
// eight lanes (two for each four), what its dot product begins with, those of other lanes, and its
// scale. In a chunk r0 to r3 are lanes, r4 to r7 weights, r8 and r9 the dot products.

// clang-format off

// Four lanes of one row: `start` and their products make `sum`. A word of int8_pairs is two numbers
// of 16 bits, 256 times an odd lane plus an even one: times the vector's even lanes; its odd lanes
// less 256 times the even ones, times the weights' odd lanes, make up for what is too much.
#define MOTE_INT8_WORD(sum, start, word, first, second)               \
      "sxtb16 lr, " word "\n"                                         \
      "smlad " sum ", lr, " first ", " start "\n"                     \
      "sxtb16 " word ", " word ", ror #8\n"                           \
      "smlad " sum ", " word ", " second ", " sum "\n"
#define MOTE_PAIRS_WORD(sum, start, word, first, second)              \
      "smlad " sum ", " word ", " first ", " start "\n"               \
      "sxtb16 " word ", " word ", ror #8\n"                           \
      "smlad " sum ", " word ", " second ", " sum "\n"
#define MOTE_TWO(WORD, sum, start, first, second)                     \
      WORD(sum, start, first, "r0", "r1")                             \
      WORD(sum, sum, second, "r2", "r3")

// The dot products of a chunk, and its scale as r4 (as r5 of 8 lanes). The second row is two words
// behind, so that four words at a time find registers.
#define MOTE_CHUNK_8(WORD)                                            \
      "ldmia r12!, {r0-r5}\n"                                         \
      "ldrd r6, r7, [r11], #8\n"                                      \
      MOTE_TWO(WORD, "r9", "r4", "r6", "r7")                          \
      "ldrd r6, r7, [r10], #8\n"                                      \
      MOTE_TWO(WORD, "r8", "r4", "r6", "r7")
#define MOTE_CHUNK_BEGIN(WORD)                                        \
      "ldmia r12!, {r0-r3, r8}\n"                                     \
      "ldrd r4, r5, [r11], #8\n"                                      \
      MOTE_TWO(WORD, "r9", "r8", "r4", "r5")                          \
      "ldmia r10!, {r4-r7}\n"                                         \
      MOTE_TWO(WORD, "r8", "r8", "r4", "r5")
#define MOTE_CHUNK_END(WORD, advance)                                 \
      "ldmia r12!, {r0-r4}\n"                                         \
      MOTE_TWO(WORD, "r8", "r8", "r6", "r7")                          \
      "ldrd r6, r7, [r11], #" advance "\n"                            \
      MOTE_TWO(WORD, "r9", "r9", "r6", "r7")
#define MOTE_CHUNK_16(WORD)                                           \
      MOTE_CHUNK_BEGIN(WORD)                                          \
      MOTE_CHUNK_END(WORD, "8")
#define MOTE_CHUNK_MIDDLE(WORD)                                       \
      "ldmia r12!, {r0-r3}\n"                                         \
      MOTE_TWO(WORD, "r8", "r8", "r6", "r7")                          \
      "ldmia r11!, {r4-r7}\n"                                         \
      MOTE_TWO(WORD, "r9", "r9", "r4", "r5")                          \
      "ldmia r12!, {r0-r3}\n"                                         \
      MOTE_TWO(WORD, "r9", "r9", "r6", "r7")                          \
      "ldmia r10!, {r4-r7}\n"                                         \
      MOTE_TWO(WORD, "r8", "r8", "r4", "r5")
#define MOTE_CHUNK_32(WORD, advance)                                  \
      MOTE_CHUNK_BEGIN(WORD)                                          \
      MOTE_CHUNK_MIDDLE(WORD)                                         \
      MOTE_CHUNK_END(WORD, advance)

// Chunks up to the last, whose scale has its lowest bit set; others are twice what they count. The
// sums are r0:r1 and r2:r3 and [sp].
#define MOTE_CHUNKS(CHUNK, scale, next)                               \
  asm("1:\n"                                                          \
      CHUNK                                                           \
      "lsrs r4, " scale ", #1\n"                                      \
      "ldm sp, {r0-r3}\n"                                             \
      "smlal r0, r1, r8, r4\n"                                        \
      "smlal r2, r3, r9, r4\n"                                        \
      "stm sp, {r0-r3}\n"                                             \
      "bcc 1b\n"                                                      \
      "ldr pc, [sp, #" next "]\n")

// multiply_shift of the sum `low` and `high`, with the row's mantissa `row` and 2^(32 - shift) as
// `power`: the product without its lowest 32 bits times that power, rounded at the lowest of 32
// bits that are dropped. r4 is scratch, and so are `low`, `row` and `power`.
#define MOTE_ROUND(out, low, high, row, power)                        \
      "umull " low ", r4, " low ", " row "\n"                         \
      "and " low ", " high ", " row ", asr #31\n"                     \
      "smlal r4, " low ", " high ", " row "\n"                        \
      "umull " row ", r4, r4, " power "\n"                            \
      "mla " out ", " low ", " power ", r4\n"                         \
      "add " out ", " out ", " row ", lsr #31\n"

// Both sums, r0:r1 and r2:r3, with r4 as the difference of `highest` and the scales, r6 and r7 as
// factor and top. Changes no flag.
#define MOTE_ROUND_SUMS(first, second, unit)                          \
      "ubfx " second ", r4, #16, #11\n"                               \
      "ubfx " first ", r4, #0, #11\n"                                 \
      "mls " second ", " second ", r6, r7\n"                          \
      "mls " first ", " first ", r6, r7\n"                            \
      "ubfx r6, r4, #11, #5\n"                                        \
      "lsr r7, r4, #27\n"                                             \
      "lsr r6, " unit ", r6\n"                                        \
      "lsr r7, " unit ", r7\n"                                        \
      MOTE_ROUND("r0", "r0", "r1", first, "r6")                       \
      MOTE_ROUND("r1", "r2", "r3", second, "r7")

#define MOTE_RETURN                                                   \
      "add sp, sp, #80\n"                                             \
      "pop {r4-r11, pc}\n"
// Returns behind all rows, or, from 5, with r0 to r3 as the sums of two rows whose scales, in front
// of `scales`, are not usual.
#define MOTE_LEAVE(prepare, scales, out)                              \
      "mov r0, #0\n"                                                  \
      MOTE_RETURN                                                     \
      "5:\n"                                                          \
      "ldr r4, [sp, #76]\n"                                           \
      "strd " scales ", " out ", [r4, #36]\n"                         \
      prepare                                                         \
      "stm r4, {r0-r3}\n"                                             \
      "str r11, [r4, #76]\n"                                          \
      "mov r0, #1\n"                                                  \
      MOTE_RETURN

// The same for a sum of 32 bits and the whole shift: what the product has above 32 bits is shifted,
// and the last bit that falls out rounds. r4 is scratch.
#define MOTE_ROUND_NARROW(sum, row, shift)                            \
      "and r4, " sum ", " row ", asr #31\n"                           \
      "smmla " sum ", " sum ", " row ", r4\n"                         \
      "asrs " sum ", " sum ", " shift "\n"                            \
      "adc " sum ", " sum ", #0\n"

// Both chunks of rows of 64 lanes. Of int8_pairs the first, whose scale lr has room for, loads two
// words of the second row for the other.
#define MOTE_INT8_FIRST MOTE_CHUNK_32(MOTE_INT8_WORD, "8")
#define MOTE_INT8_SECOND MOTE_CHUNK_32(MOTE_INT8_WORD, "72")
#define MOTE_PAIRS_FIRST                                              \
      MOTE_CHUNK_BEGIN(MOTE_PAIRS_WORD)                               \
      MOTE_CHUNK_MIDDLE(MOTE_PAIRS_WORD)                              \
      "ldmia r12!, {r0-r3, lr}\n"                                     \
      MOTE_TWO(MOTE_PAIRS_WORD, "r8", "r8", "r6", "r7")               \
      "ldmia r11!, {r4-r7}\n"                                         \
      MOTE_TWO(MOTE_PAIRS_WORD, "r9", "r9", "r4", "r5")
#define MOTE_PAIRS_SECOND                                             \
      "ldmia r12!, {r0-r3, r8}\n"                                     \
      MOTE_TWO(MOTE_PAIRS_WORD, "r9", "r8", "r6", "r7")               \
      "ldmia r10!, {r4-r7}\n"                                         \
      MOTE_TWO(MOTE_PAIRS_WORD, "r8", "r8", "r4", "r5")               \
      MOTE_CHUNK_MIDDLE(MOTE_PAIRS_WORD)                              \
      MOTE_CHUNK_END(MOTE_PAIRS_WORD, "72")

// Rows of 64 lanes, two chunks, whose sums have 32 bits with scales that are what they count. The
// sums, scales and out are [sp] to [sp, #12], and the shift [sp, #36].
#define MOTE_ROWS_OF_64(FIRST, scale, SECOND)                         \
  asm("ldrd r2, r3, [sp, #36]\n"                                      \
      "ldr r4, [sp, #44]\n"                                           \
      "strd r2, r3, [sp, #8]\n"                                       \
      "str r4, [sp, #36]\n"                                           \
      "2:\n"                                                          \
      FIRST                                                           \
      "mul r8, r8, " scale "\n"                                       \
      "mul r9, r9, " scale "\n"                                       \
      "strd r8, r9, [sp]\n"                                           \
      SECOND                                                          \
      "ldm sp, {r0-r3, r5-r7, r10, r12, lr}\n"                        \
      "mla r0, r8, r4, r0\n"                                          \
      "mla r1, r9, r4, r1\n"                                          \
      "ldr r4, [r2], #4\n"                                            \
      "usub16 r4, r5, r4\n"                                           \
      "tst r4, #0x80008000\n"                                         \
      "bne 5f\n"                                                      \
      "ubfx r5, r4, #0, #11\n"                                        \
      "ubfx r8, r4, #16, #11\n"                                       \
      "mls r5, r5, r6, r7\n"                                          \
      "mls r8, r8, r6, r7\n"                                          \
      "ubfx r6, r4, #11, #5\n"                                        \
      "add r7, lr, r4, lsr #27\n"                                     \
      "add r6, r6, lr\n"                                              \
      MOTE_ROUND_NARROW("r0", "r5", "r6")                             \
      MOTE_ROUND_NARROW("r1", "r8", "r7")                             \
      "strd r0, r1, [r3], #8\n"                                       \
      "strd r2, r3, [sp, #8]\n"                                       \
      "cmp r2, r10\n"                                                 \
      "sub r10, r11, #64\n"                                           \
      "bne 2b\n"                                                      \
      MOTE_LEAVE("mov r2, r1\n"                                       \
                 "asr r3, r2, #31\n"                                  \
                 "asr r1, r0, #31\n", "r2", "r3"))

// Eight lanes, `more` bytes behind r10, with the vector's r4 to r7: r8 is their dot product.
#define MOTE_INT8_EIGHT(more)                                         \
      "ldr r11, [r10, #" more "]\n"                                   \
      "sxtb16 lr, r11\n"                                              \
      "smuad r8, lr, r4\n"                                            \
      "sxtb16 r11, r11, ror #8\n"                                     \
      "smlad r8, r11, r5, r8\n"                                       \
      "ldr r11, [r10, #" more " + 4]\n"                               \
      MOTE_INT8_WORD("r8", "r8", "r11", "r6", "r7")
#define MOTE_PAIRS_EIGHT(more)                                        \
      "ldrd r11, lr, [r10, #" more "]\n"                              \
      "smuad r8, r11, r4\n"                                           \
      "sxtb16 r11, r11, ror #8\n"                                     \
      "smlad r8, r11, r5, r8\n"                                       \
      MOTE_PAIRS_WORD("r8", "r8", "lr", "r6", "r7")
#define MOTE_EIGHTS(EIGHT, more)                                      \
      "ldmia r12!, {r4-r9}\n"                                         \
      EIGHT(more)                                                     \
      "smlal r0, r1, r8, r9\n"                                        \
      EIGHT(more " + 64")                                             \
      "smlal r2, r3, r8, r9\n"

// Rows of 64 lanes, an even number, in chunks of 8 whose scales are what they count. One address is
// enough for both rows, so that their sums stay in registers; they begin with what dot products
// begin with else.
#define MOTE_ROWS_OF_64_BY_8(EIGHT)                                   \
  asm("2:\n"                                                          \
      "ldm sp, {r0-r3}\n"                                             \
      MOTE_EIGHTS(EIGHT, "0")                                         \
      MOTE_EIGHTS(EIGHT, "8")                                         \
      MOTE_EIGHTS(EIGHT, "16")                                        \
      MOTE_EIGHTS(EIGHT, "24")                                        \
      MOTE_EIGHTS(EIGHT, "32")                                        \
      MOTE_EIGHTS(EIGHT, "40")                                        \
      MOTE_EIGHTS(EIGHT, "48")                                        \
      MOTE_EIGHTS(EIGHT, "56")                                        \
      "add r4, sp, #16\n"                                             \
      "ldm r4, {r5-r9, r11, r12, lr}\n"                               \
      "add r10, r10, #128\n"                                          \
      "ldr r4, [r11], #4\n"                                           \
      "usub16 r4, r5, r4\n"                                           \
      "ldr r5, [sp, #48]\n"                                           \
      "uqsub16 r5, r4, r5\n"                                          \
      "cmp r5, #0\n"                                                  \
      "bne 5f\n"                                                      \
      "cmp r11, r8\n"                                                 \
      MOTE_ROUND_SUMS("r5", "r8", "lr")                               \
      "strd r0, r1, [r12], #8\n"                                      \
      "strd r11, r12, [sp, #36]\n"                                    \
      "mov r12, r9\n"                                                 \
      "bne 2b\n"                                                      \
      MOTE_LEAVE("add r11, r10, #64\n", "r11", "r12"))

#define MOTE_DEFINE(format, WORD, EIGHT)                                                  \
  [[gnu::naked]] void format##_8() { MOTE_CHUNKS(MOTE_CHUNK_8(WORD), "r5", "60"); }        \
  [[gnu::naked]] void format##_16() { MOTE_CHUNKS(MOTE_CHUNK_16(WORD), "r4", "60"); }      \
  [[gnu::naked]] void format##_32() { MOTE_CHUNKS(MOTE_CHUNK_32(WORD, "8"), "r4", "56"); } \
  [[gnu::naked]] void format##_rows_of_64_by_8() { MOTE_ROWS_OF_64_BY_8(EIGHT); }
MOTE_DEFINE(int8, MOTE_INT8_WORD, MOTE_INT8_EIGHT)
MOTE_DEFINE(pairs, MOTE_PAIRS_WORD, MOTE_PAIRS_EIGHT)
[[gnu::naked]] void int8_rows_of_64() {
  MOTE_ROWS_OF_64(MOTE_INT8_FIRST, "r4", MOTE_INT8_SECOND);
}
[[gnu::naked]] void pairs_rows_of_64() {
  MOTE_ROWS_OF_64(MOTE_PAIRS_FIRST, "lr", MOTE_PAIRS_SECOND);
}

/// Rounds the sums of two rows.
[[gnu::naked]] void round_sums() {
  // Flags are those of the comparison with the last row until they are used.
  asm("ldr r4, [sp, #64]\n"
      "ldm sp, {r0-r3, r5-r7, r10, r12, lr}\n"
      "add r11, r11, r4\n"
      "ldr r4, [lr], #4\n"
      "ldrd r9, r8, [sp, #40]\n"
      "usub16 r4, r5, r4\n"
      "ldr r5, [sp, #48]\n"
      "uqsub16 r5, r4, r5\n"
      "cmp r5, #0\n"
      "bne 5f\n"
      "cmp lr, r10\n"
      MOTE_ROUND_SUMS("r5", "r10", "r8")
      "strd r0, r1, [r9], #8\n"
      "strd lr, r9, [sp, #36]\n"
      "beq 4f\n"
      "ldr r10, [sp, #68]\n"
      "mov r0, #0\n"
      "sub r10, r11, r10\n"
      "strd r0, r0, [sp]\n"
      "strd r0, r0, [sp, #8]\n"
      "ldr pc, [sp, #52]\n"
      "4:\n"
      MOTE_LEAVE("", "lr", "r9"));
}

/// Puts sums back where those of the next rows follow.
[[gnu::naked]] void keep_sums() {
  asm("ldr r4, [sp, #72]\n"
      "ldrd r12, r5, [sp, #64]\n"
      "ldr r6, [sp, #28]\n"
      "add r11, r11, r12\n"
      "stmia r4!, {r0-r3}\n"
      "cmp r4, r6\n"
      "beq 4f\n"
      "sub r10, r11, r5\n"
      "ldr r12, [sp, #32]\n"
      "str r4, [sp, #72]\n"
      "ldm r4, {r0-r3}\n"
      "stm sp, {r0-r3}\n"
      "ldr pc, [sp, #52]\n"
      "4:\n"
      MOTE_RETURN);
}

/// Multiplies rows. Returns whether sums are left in `rows` because a row scale is not usual; then
/// `scales` are those behind theirs, `out` is where they go, and `row` the second of the next two.
[[gnu::naked]] bool multiply(Rows*) {
  asm("push {r4-r11, lr}\n"
      "sub sp, sp, #80\n"
      "str r0, [sp, #76]\n"
      "ldmia r0!, {r1-r10}\n"
      "stm sp, {r1-r10}\n"
      "ldrd r12, r11, [r0, #36]\n"
      "add lr, sp, #40\n"
      "ldm r0, {r1-r9}\n"
      "stm lr, {r1-r9}\n"
      "mov r10, r12\n"
      "add r11, r11, r12\n"
      "ldr r12, [sp, #32]\n"
      "ldr pc, [sp, #52]\n");
}

// clang-format on

}  // namespace
}  // namespace mote
