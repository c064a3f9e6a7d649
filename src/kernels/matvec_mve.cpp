// SPDX-License-Identifier: Apache-2.0
// Matrix times vector for Cortex-M with MVE (M55, M85), for blocks of 32 lanes in three steps over
// a group of rows:
//   1. with the lanes of up to three blocks in registers, their dot products with every row
//   2. dot products times scales, summed in 64 bits, three or four at once (VMLALDAVA)
//   3. sums times row scales, rounded, four rows at once
// Other blocks, and what is left of a number of rows that is no multiple of four, go row by row
// (matvec_mve_rows.cpp).
// docs/BENCHMARKS.md has the counts.
#include <arm_mve.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/fixed_point.hpp"
#include "kernels/matvec_mve.hpp"

namespace mote {
namespace {

using mve::kRows;
using mve::Product;

constexpr std::uint32_t kBlock = 32;
/// Blocks of a chunk, whose lanes take six of eight vector registers.
constexpr std::uint32_t kChunkBlocks = 3;
/// Chunks whose dot products are kept, for step 2.
constexpr std::uint32_t kChunks = 3;
/// Step 2 reads four dot products where there are three.
constexpr std::uint32_t kDots = kRows * kChunkBlocks + 4;

/// The dot products of one chunk with some rows, and what they are multiplied with.
struct Chunk {
  std::int32_t dots[kDots];     // (rows, blocks of the chunk)
  std::int32_t scales[4];       // of the blocks; zero behind them
  std::int32_t corrections[4];  // int4: 8 times the sum of a block's lanes, as nibbles are plus 8
  const std::uint8_t* factors;  // int4, of the first row's first block
};
constexpr std::size_t kScalesAt = offsetof(Chunk, scales);
static_assert(kScalesAt == 880 && offsetof(Chunk, corrections) == kScalesAt + 16);
static_assert(offsetof(Chunk, factors) == kScalesAt + 32 && sizeof(Chunk) == 916);

// Step 1, for rows in multiples of 4 and 1 to 3 blocks: functions of
//   dots (rows, blocks), weights, lanes (blocks * 32), the bytes from the end of a row's part to
//   the next row's, rows / 4

// clang-format off

// 32 lanes of one row: r1 leads to the weights, q6 and q7 are scratch.
#define MOTE_INT8_BLOCK(sum, x0, x1)          \
  "vldrb.u8 q6, [r1], #16\n"                  \
  "vldrb.u8 q7, [r1], #16\n"                  \
  "vmladav.s8 " sum ", q6, " x0 "\n"          \
  "vmladava.s8 " sum ", q7, " x1 "\n"

// The same for int4; q7 masks the low nibbles, q5 and q6 are scratch.
#define MOTE_INT4_BLOCK(sum, x0, x1)          \
  "vldrb.u8 q6, [r1], #16\n"                  \
  "vshr.u8 q5, q6, #4\n"                      \
  "vand q6, q6, q7\n"                         \
  "vmladav.s8 " sum ", q5, " x1 "\n"          \
  "vmladava.s8 " sum ", q6, " x0 "\n"
// The third block, whose first half of x has no register.
#define MOTE_INT4_LAST_BLOCK(sum)             \
  "vldrb.u8 q6, [r1], #16\n"                  \
  "vshr.u8 q5, q6, #4\n"                      \
  "vand q6, q6, q7\n"                         \
  "vmladav.s8 " sum ", q5, q4\n"              \
  "vldrb.u8 q5, [r7]\n"                       \
  "vmladava.s8 " sum ", q6, q5\n"

#define MOTE_NEXT_ROW "add r1, r1, r3\n"

#define MOTE_INT8_ROW_1(a) MOTE_INT8_BLOCK(a, "q0", "q1") MOTE_NEXT_ROW
#define MOTE_INT8_ROW_2(a, b)                                                     \
  MOTE_INT8_BLOCK(a, "q0", "q1") MOTE_INT8_BLOCK(b, "q2", "q3") MOTE_NEXT_ROW
#define MOTE_INT8_ROW_3(a, b, c)                                                  \
  MOTE_INT8_BLOCK(a, "q0", "q1") MOTE_INT8_BLOCK(b, "q2", "q3")                   \
  MOTE_INT8_BLOCK(c, "q4", "q5") MOTE_NEXT_ROW
#define MOTE_INT4_ROW_1(a) MOTE_INT4_BLOCK(a, "q0", "q1") MOTE_NEXT_ROW
#define MOTE_INT4_ROW_2(a, b)                                                     \
  MOTE_INT4_BLOCK(a, "q0", "q1") MOTE_INT4_BLOCK(b, "q2", "q3") MOTE_NEXT_ROW
#define MOTE_INT4_ROW_3(a, b, c)                                                  \
  MOTE_INT4_BLOCK(a, "q0", "q1") MOTE_INT4_BLOCK(b, "q2", "q3")                   \
  MOTE_INT4_LAST_BLOCK(c) MOTE_NEXT_ROW

// Four rows; sums are in even registers, as the instruction asks.
#define MOTE_FOUR_ROWS_1(row)                                                     \
  row("r0") row("r2") row("r4") row("r6") "stmia r5!, {r0, r2, r4, r6}\n"
#define MOTE_FOUR_ROWS_2(row)                                                     \
  row("r0", "r2") row("r4", "r6") "stmia r5!, {r0, r2, r4, r6}\n"                 \
  row("r0", "r2") row("r4", "r6") "stmia r5!, {r0, r2, r4, r6}\n"
#define MOTE_FOUR_ROWS_3(row)                                                     \
  row("r0", "r2", "r4") row("r6", "r8", "r10")                                    \
  "stmia r5!, {r0, r2, r4, r6, r8, r10}\n"                                        \
  row("r0", "r2", "r4") row("r6", "r8", "r10")                                    \
  "stmia r5!, {r0, r2, r4, r6, r8, r10}\n"

// The stack's arguments lie behind 9 registers and 4 of 64 bits.
#define MOTE_MULTIPLY_LANES(loads, rows)                                          \
  asm("push {r4-r11, lr}\n"                                                       \
      "vpush {d8-d15}\n"                                                          \
      "ldr lr, [sp, #100]\n"                                                      \
      "mov r5, r0\n"                                                              \
      "add r7, r2, #64\n"                                                         \
      loads                                                                       \
      "dls lr, lr\n"                                                              \
      "1:\n"                                                                      \
      rows                                                                        \
      "le lr, 1b\n"                                                               \
      "vpop {d8-d15}\n"                                                           \
      "pop {r4-r11, pc}\n")

#define MOTE_LOAD_2 "vldrb.u8 q0, [r2]\n" "vldrb.u8 q1, [r2, #16]\n"
#define MOTE_LOAD_4 MOTE_LOAD_2 "vldrb.u8 q2, [r2, #32]\n" "vldrb.u8 q3, [r2, #48]\n"
#define MOTE_LOAD_6 MOTE_LOAD_4 "vldrb.u8 q4, [r2, #64]\n" "vldrb.u8 q5, [r2, #80]\n"
#define MOTE_LOAD_5 MOTE_LOAD_4 "vldrb.u8 q4, [r2, #80]\n"
#define MOTE_MASK "vmov.i8 q7, #15\n"

#define MOTE_DEFINE(name, loads, rows)                                                     \
  [[gnu::naked]] void name(std::int32_t*, const std::uint8_t*, const std::int8_t*,         \
                           std::uint32_t, std::uint32_t) {                                 \
    MOTE_MULTIPLY_LANES(loads, rows);                                                      \
  }
MOTE_DEFINE(multiply_int8_1, MOTE_LOAD_2, MOTE_FOUR_ROWS_1(MOTE_INT8_ROW_1))
MOTE_DEFINE(multiply_int8_2, MOTE_LOAD_4, MOTE_FOUR_ROWS_2(MOTE_INT8_ROW_2))
MOTE_DEFINE(multiply_int8_3, MOTE_LOAD_6, MOTE_FOUR_ROWS_3(MOTE_INT8_ROW_3))
MOTE_DEFINE(multiply_int4_1, MOTE_LOAD_2 MOTE_MASK, MOTE_FOUR_ROWS_1(MOTE_INT4_ROW_1))
MOTE_DEFINE(multiply_int4_2, MOTE_LOAD_4 MOTE_MASK, MOTE_FOUR_ROWS_2(MOTE_INT4_ROW_2))
MOTE_DEFINE(multiply_int4_3, MOTE_LOAD_5 MOTE_MASK, MOTE_FOUR_ROWS_3(MOTE_INT4_ROW_3))

// Step 2: the dot products of one chunk, or of three that follow each other in memory, times their
// scales, and times their factors for int4, begin the sums or are added to them: functions of
//   sums (rows), chunks, rows / 4, and for int4 the way from a row's factors to the next row's

#define MOTE_INT8_DOTS(add, sum, dots, scales, pitch)                             \
  "vldrw.u32 q3, [" dots "], #" pitch "\n"                                        \
  add ".s32 " sum ", q3, " scales "\n"

#define MOTE_INT8_DOTS_1(add, sum, pitch) MOTE_INT8_DOTS(add, sum, "r8", "q0", pitch)
#define MOTE_INT8_DOTS_3(add, sum, pitch)                                         \
  MOTE_INT8_DOTS(add, sum, "r8", "q0", pitch)                                     \
  MOTE_INT8_DOTS("vmlaldava", sum, "r9", "q1", pitch)                             \
  MOTE_INT8_DOTS("vmlaldava", sum, "r10", "q2", pitch)

#define MOTE_ADD_INT8(load, add, dots, pitch)                                                \
  asm("push {r4-r11, lr}\n"                                                       \
      "mov r11, r0\n"                                                             \
      "mov r8, r1\n"                                                              \
      "add r9, r1, #916\n"                                                        \
      "add r10, r1, #1832\n"                                                      \
      "add r12, r1, #880\n"                                                       \
      "vldrw.u32 q0, [r12]\n"                                                     \
      "add r12, r9, #880\n"                                                       \
      "vldrw.u32 q1, [r12]\n"                                                     \
      "add r12, r10, #880\n"                                                      \
      "vldrw.u32 q2, [r12]\n"                                                     \
      "dls lr, r2\n"                                                              \
      "1:\n"                                                                      \
      load("{r0-r7}")                                                             \
      dots(add, "r0, r1", pitch) dots(add, "r2, r3", pitch)                       \
      dots(add, "r4, r5", pitch) dots(add, "r6, r7", pitch)                       \
      "stmia r11!, {r0-r7}\n"                                                     \
      "le lr, 1b\n"                                                               \
      "pop {r4-r11, pc}\n")

// Factors are read four at a time; the one that is too many meets a scale of zero. Behind the last
// factor of an image its weights follow, so that one more byte can be read.
#define MOTE_INT4_DOTS(add, sum, dots, factor, scales, correction, pitch)         \
  "vldrw.u32 q6, [" dots "], #" pitch "\n"                                        \
  "vldrb.u32 q7, [r6, #" factor "]\n"                                             \
  "vsub.i32 q6, q6, " correction "\n"                                             \
  "vmul.i32 q6, q6, q7\n"                                                         \
  add ".s32 " sum ", q6, " scales "\n"

#define MOTE_INT4_DOTS_1(add, sum, pitch)                                         \
  MOTE_INT4_DOTS(add, sum, "r8", "0", "q0", "q3", pitch)                               \
  "add r6, r6, r7\n"
#define MOTE_INT4_DOTS_3(add, sum, pitch)                                         \
  MOTE_INT4_DOTS(add, sum, "r8", "0", "q0", "q3", pitch)                          \
  MOTE_INT4_DOTS("vmlaldava", sum, "r9", "3", "q1", "q4", pitch)                  \
  MOTE_INT4_DOTS("vmlaldava", sum, "r10", "6", "q2", "q5", pitch)                 \
  "add r6, r6, r7\n"

#define MOTE_ADD_INT4(load, add, dots, pitch)                                                \
  asm("push {r4-r11, lr}\n"                                                       \
      "vpush {d8-d15}\n"                                                          \
      "mov r11, r0\n"                                                             \
      "mov r8, r1\n"                                                              \
      "add r9, r1, #916\n"                                                        \
      "add r10, r1, #1832\n"                                                      \
      "add r12, r1, #880\n"                                                       \
      "vldrw.u32 q0, [r12]\n"                                                     \
      "vldrw.u32 q3, [r12, #16]\n"                                                \
      "ldr r6, [r12, #32]\n"                                                      \
      "add r12, r9, #880\n"                                                       \
      "vldrw.u32 q1, [r12]\n"                                                     \
      "vldrw.u32 q4, [r12, #16]\n"                                                \
      "add r12, r10, #880\n"                                                      \
      "vldrw.u32 q2, [r12]\n"                                                     \
      "vldrw.u32 q5, [r12, #16]\n"                                                \
      "mov r7, r3\n"                                                              \
      "dls lr, r2\n"                                                              \
      "1:\n"                                                                      \
      load("{r0-r3}")                                                             \
      dots(add, "r0, r1", pitch) dots(add, "r2, r3", pitch)                       \
      "stmia r11!, {r0-r3}\n"                                                     \
      load("{r0-r3}")                                                             \
      dots(add, "r0, r1", pitch) dots(add, "r2, r3", pitch)                       \
      "stmia r11!, {r0-r3}\n"                                                     \
      "le lr, 1b\n"                                                               \
      "vpop {d8-d15}\n"                                                           \
      "pop {r4-r11, pc}\n")

#define MOTE_DEFINE_ADD(name, body)                                                        \
  [[gnu::naked]] void name(std::int64_t*, const Chunk*, std::uint32_t, std::uint32_t) {    \
    body;                                                                                  \
  }
// The first chunks begin the sums, the others add to them.
#define MOTE_LOAD_SUMS(registers) "ldm r11, " registers "\n"
#define MOTE_NO_SUMS(registers)
#define MOTE_BEGIN(format, chunks, pitch)                                                  \
  MOTE_ADD_##format(MOTE_NO_SUMS, "vmlaldav", MOTE_##format##_DOTS_##chunks, pitch)
#define MOTE_ADD(format, chunks, pitch)                                                    \
  MOTE_ADD_##format(MOTE_LOAD_SUMS, "vmlaldava", MOTE_##format##_DOTS_##chunks, pitch)
MOTE_DEFINE_ADD(begin_int8_1, MOTE_BEGIN(INT8, 1, "4"))
MOTE_DEFINE_ADD(begin_int8_2, MOTE_BEGIN(INT8, 1, "8"))
MOTE_DEFINE_ADD(begin_int8_3, MOTE_BEGIN(INT8, 1, "12"))
MOTE_DEFINE_ADD(begin_int8_9, MOTE_BEGIN(INT8, 3, "12"))
MOTE_DEFINE_ADD(begin_int4_1, MOTE_BEGIN(INT4, 1, "4"))
MOTE_DEFINE_ADD(begin_int4_2, MOTE_BEGIN(INT4, 1, "8"))
MOTE_DEFINE_ADD(begin_int4_3, MOTE_BEGIN(INT4, 1, "12"))
MOTE_DEFINE_ADD(begin_int4_9, MOTE_BEGIN(INT4, 3, "12"))
MOTE_DEFINE_ADD(add_int8_3, MOTE_ADD(INT8, 1, "12"))
MOTE_DEFINE_ADD(add_int8_9, MOTE_ADD(INT8, 3, "12"))
MOTE_DEFINE_ADD(add_int4_3, MOTE_ADD(INT4, 1, "12"))
MOTE_DEFINE_ADD(add_int4_9, MOTE_ADD(INT4, 3, "12"))

/// What step 3 works on, as the assembly knows it.
struct Rounding {
  std::int32_t* out;           // (rows)
  const std::int64_t* sums;    // (rows)
  const Scale16* scales;       // (rows)
  std::uint32_t factor;        // mantissa that all rows share
  std::int32_t unit;           // exponent of a sum, before the scale of its row, plus 31
  std::uint32_t fours;
};

/// Step 3: multiply_shift for four rows at once, of scales whose exponent bits are not zero, of
/// shifts by 34 to 64 and of results that fit. Returns whether all were such.
[[gnu::naked]] bool round_sums(const Rounding*) {
  // q0 is the multiplier of 32 bits and q1 minus the shift beyond 32 bits; q2 and q4 are the lower
  // and the upper half of a product that has lost its lowest 32 bits. q5 and q6 gather the least
  // exponent and the largest shift of the upper half; the flag QC remembers what did not fit.
  asm("push {r4-r8, lr}\n"
      "vpush {d8-d15}\n"
      "ldm r0, {r0-r4, r6}\n"
      "mov r5, #0\n"
      "vmsr fpscr_nzcvqc, r5\n"
      "mov r5, #32\n"
      "vmov.i32 q7, #1\n"
      "vmov.i32 q5, #1\n"
      "vmov.i32 q6, #0\n"
      "dls lr, r6\n"
      "1:\n"
      "vldrh.u32 q0, [r2], #8\n"
      "vld20.32 {q2, q3}, [r1]\n"
      "vld21.32 {q2, q3}, [r1]!\n"
      "vshr.u32 q1, q0, #11\n"
      "vsli.32 q0, q7, #11\n"
      "vmin.u32 q5, q5, q1\n"
      "vmul.i32 q0, q0, r3\n"
      "vadd.i32 q1, q1, r4\n"
      "vmulh.u32 q2, q2, q0\n"
      "vmulh.u32 q4, q3, q0\n"
      "vpt.s32 lt, q3, zr\n"
      "vsubt.i32 q4, q4, q0\n"
      "vmul.i32 q3, q3, q0\n"
      "vadd.i32 q2, q2, q3\n"
      "vpt.u32 hi, q3, q2\n"
      "vaddt.i32 q4, q4, q7\n"
      "vrshl.u32 q2, q2, q1\n"
      "vadd.i32 q1, q1, r5\n"
      "vmax.u32 q6, q6, q1\n"
      "vqshl.s32 q4, q4, q1\n"
      "vqadd.s32 q4, q4, q2\n"
      "vstrw.32 q4, [r0], #16\n"
      "le lr, 1b\n"
      "vmrs r0, fpscr_nzcvqc\n"
      "mvn r1, #0\n"
      "vminv.u32 r1, q5\n"
      "mov r2, #0\n"
      "vmaxv.u32 r2, q6\n"
      "ubfx r0, r0, #27, #1\n"
      "eor r0, r0, #1\n"
      "cmp r2, #30\n"
      "it hi\n"
      "movhi r0, #0\n"
      "cmp r1, #0\n"
      "it eq\n"
      "moveq r0, #0\n"
      "vpop {d8-d15}\n"
      "pop {r4-r8, pc}\n");
}

// clang-format on

// Calls by name, so that the depth of the stack can be told from the calls.

void multiply_lanes(bool is_int4, std::uint32_t count, std::int32_t* dots,
                    const std::uint8_t* weights, const std::int8_t* lanes, std::uint32_t skip,
                    std::uint32_t fours) {
  switch (count) {
    case 1:
      return is_int4 ? multiply_int4_1(dots, weights, lanes, skip, fours)
                     : multiply_int8_1(dots, weights, lanes, skip, fours);
    case 2:
      return is_int4 ? multiply_int4_2(dots, weights, lanes, skip, fours)
                     : multiply_int8_2(dots, weights, lanes, skip, fours);
    default:
      return is_int4 ? multiply_int4_3(dots, weights, lanes, skip, fours)
                     : multiply_int8_3(dots, weights, lanes, skip, fours);
  }
}

/// Step 2 for the first chunks, `count` blocks of them.
void begin_sums(bool is_int4, std::uint32_t count, std::int64_t* sums, const Chunk* chunks,
                std::uint32_t fours, std::uint32_t blocks) {
  switch (count) {
    case 1:
      return is_int4 ? begin_int4_1(sums, chunks, fours, blocks)
                     : begin_int8_1(sums, chunks, fours, blocks);
    case 2:
      return is_int4 ? begin_int4_2(sums, chunks, fours, blocks)
                     : begin_int8_2(sums, chunks, fours, blocks);
    case 3:
      return is_int4 ? begin_int4_3(sums, chunks, fours, blocks)
                     : begin_int8_3(sums, chunks, fours, blocks);
    default:
      return is_int4 ? begin_int4_9(sums, chunks, fours, blocks)
                     : begin_int8_9(sums, chunks, fours, blocks);
  }
}

/// Step 2 for further chunks: one, or three.
void add_to_sums(bool is_int4, std::uint32_t count, std::int64_t* sums, const Chunk* chunks,
                 std::uint32_t fours, std::uint32_t blocks) {
  if (count == kChunkBlocks) {
    return is_int4 ? add_int4_3(sums, chunks, fours, blocks)
                   : add_int8_3(sums, chunks, fours, blocks);
  }
  return is_int4 ? add_int4_9(sums, chunks, fours, blocks)
                 : add_int8_9(sums, chunks, fours, blocks);
}

void sum_dots(bool is_int4, bool is_first, std::uint32_t count, std::int64_t* sums,
              const Chunk* chunks, std::uint32_t fours, std::uint32_t blocks) {
  if (is_first) return begin_sums(is_int4, count, sums, chunks, fours, blocks);
  add_to_sums(is_int4, count, sums, chunks, fours, blocks);
}

void round_row(const Product& p, std::uint32_t row, std::int64_t sum) {
  const Scale16 scale = p.m.row_scales[row];
  p.out[row] =
      multiply_shift(sum, scale.mantissa() * p.x.factor.mantissa, -(p.unit + scale.exponent()));
}

/// The scales and corrections of `count` blocks from `first` on. The first `known` of them are in
/// other chunks too, and count nothing here.
void prepare_chunk(Chunk& chunk, const Product& p, std::uint32_t first, std::uint32_t count,
                   std::uint32_t known) {
  const auto counts = static_cast<mve_pred16_t>(vctp32q(count) & ~vctp32q(known));
  // Two of our blocks may be one of the vector's.
  const uint32x4_t index = vshrq_n_u32(vidupq_n_u32(first, 1), 1);
  const auto* const scales = reinterpret_cast<const std::int32_t*>(p.x.scales);
  vst1q_s32(chunk.scales, p.m.block == kBlock
                              ? vldrwq_z_s32(scales + first, counts)
                              : vldrwq_gather_shifted_offset_z_s32(scales, index, counts));
  if (!p.is_int4) return;
  const std::int8_t* lanes = p.x.values + first * kBlock;
#pragma GCC unroll 3
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::int32_t sum = vaddvaq_s8(vaddvq_s8(vldrbq_s8(lanes)), vldrbq_s8(lanes + 16));
    chunk.corrections[i] = 8 * sum;
    lanes += kBlock;
  }
}

/// Step 1 for rows in multiples of 4 and the `count` blocks of a chunk, the first of which is
/// `first`.
void fill_chunk(Chunk& chunk, const Product& p, std::uint32_t row, std::uint32_t fours,
                std::uint32_t first, std::uint32_t count) {
  const std::size_t index = std::size_t{row} * p.blocks + first;
  if (p.is_int4) chunk.factors = p.m.block_factors + index;
  multiply_lanes(p.is_int4, count, chunk.dots, p.m.weights + index * p.block_bytes,
                 p.x.values + first * kBlock, (p.blocks - count) * p.block_bytes, fours);
}

/// Steps 1 and 2 for rows in multiples of 4. Chunks are prepared by the first group where all fit.
void sum_rows(std::int64_t* sums, Chunk* chunks, const Product& p, std::uint32_t row,
              std::uint32_t fours) {
  const bool is_prepared = row != 0 && p.blocks == kChunks * kChunkBlocks;
  std::uint32_t first = 0;
  for (; first + kChunks * kChunkBlocks <= p.blocks; first += kChunks * kChunkBlocks) {
    for (std::uint32_t i = 0; i < kChunks; ++i) {
      const std::uint32_t begin = first + i * kChunkBlocks;
      if (!is_prepared) prepare_chunk(chunks[i], p, begin, kChunkBlocks, 0);
      fill_chunk(chunks[i], p, row, fours, begin, kChunkBlocks);
    }
    sum_dots(p.is_int4, first == 0, kChunks * kChunkBlocks, sums, chunks, fours, p.blocks);
  }
  const std::uint32_t count = std::min(kChunkBlocks, p.blocks);
  for (; first < p.blocks; first += kChunkBlocks) {
    // The last chunk begins earlier rather than to read past a row.
    const std::uint32_t begin = std::min(first, p.blocks - count);
    prepare_chunk(chunks[0], p, begin, count, first - begin);
    fill_chunk(chunks[0], p, row, fours, begin, count);
    sum_dots(p.is_int4, first == 0, count, sums, chunks, fours, p.blocks);
  }
}

void multiply_group(const Product& p, Chunk* chunks, std::uint32_t row, std::uint32_t fours) {
  std::int64_t sums[kRows];
  sum_rows(sums, chunks, p, row, fours);
  mve::round_rows(p, sums, row, 4 * fours);
}

/// Rows in multiples of 4, of blocks of 32.
[[gnu::noinline]] void multiply_fours(const Product& p, std::uint32_t rows) {
  Chunk chunks[kChunks];
  for (std::uint32_t row = 0; row < rows; row += kRows) {
    multiply_group(p, chunks, row, std::min(kRows, rows - row) / 4);
  }
}

}  // namespace

void mve::round_rows(const Product& p, const std::int64_t* sums, std::uint32_t row,
                     std::uint32_t rows) {
  const std::uint32_t fours = rows / 4;
  const Rounding rounding = {p.out + row,         sums,        p.m.row_scales + row,
                             p.x.factor.mantissa, p.unit + 31, fours};
  const bool fits = fours == 0 || round_sums(&rounding);
  for (std::uint32_t r = fits ? 4 * fours : 0; r < rows; ++r) round_row(p, row + r, sums[r]);
}

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  if (matrix.format == WeightFormat::int8_pairs) {
    return ref::matvec_pairs_s8_s32(out, matrix, x, fraction_bits);
  }
  const bool is_int4 = matrix.format == WeightFormat::int4;
  // A block of 64 int8 lanes is two of 32 with the same scale.
  const bool is_fast = matrix.block == kBlock || (matrix.block == 2 * kBlock && !is_int4);
  const Product p = {out,
                     matrix,
                     x,
                     x.factor.exponent + matrix.exponent + fraction_bits,
                     is_int4,
                     matrix.columns / kBlock,
                     is_int4 ? kBlock / 2 : kBlock};
  const std::uint32_t rows = is_fast ? matrix.rows / 4 * 4 : 0;
  if (rows != 0) multiply_fours(p, rows);
  if (rows != matrix.rows) mve::multiply_singly(p, rows, matrix.rows);
}

}  // namespace mote
