// SPDX-License-Identifier: Apache-2.0
// Matrix times vector for Cortex-M with the DSP extension (M4, M7, M33): two rows a pass, SMLAD.
//
// The vector's lanes are widened to pairs of int16 once for many rows, in the order in which the
// bytes of the weights come out of SXTB16 (int8) or of a mask (int4). Eight lanes of two rows then
// take 19 instructions: one load of lanes and, for each row, one load of weights, four that take
// them apart and four SMLAD; int4 loads half as much twice as often. docs/BENCHMARKS.md has counts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

/// Rows whose sums are kept while a long vector is widened part by part.
constexpr std::uint32_t kRowsPerGroup = 32;

/// Words of widened lanes: one for each two lanes of a block, and two more.
constexpr std::uint32_t kWords = 192;
static_assert(kWords >= kMaxBlock / 2 + 2);

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

/// Four lanes; they may lie anywhere.
std::uint32_t load_lanes(const std::int8_t* lanes) {
  std::uint32_t word;
  std::memcpy(&word, lanes, sizeof word);
  return word;
}

/// Lanes 0 and 2 as int16.
std::uint32_t even_lanes(std::uint32_t word) {
  std::uint32_t pair;
  asm("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}

/// Lanes 1 and 3 as int16.
std::uint32_t odd_lanes(std::uint32_t word) {
  std::uint32_t pair;
  asm("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

/// sum less 8 times both lanes of a pair.
std::int32_t subtract_lanes(std::int32_t sum, std::uint32_t pair) {
  asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(0xfff8fff8U));
  return sum;
}

// clang-format off

/// Widens a block and returns where the next one goes. // block a multiple of 8
[[gnu::naked]] std::uint32_t* widen_int8(std::uint32_t*, const std::int8_t*, std::uint32_t) {
  asm("push {r4-r7, lr}\n"
      "1:\n"
      "ldr r4, [r1], #4\n"
      "ldr r6, [r1], #4\n"
      "sxtb16 r5, r4, ror #8\n"
      "sxtb16 r4, r4\n"
      "sxtb16 r7, r6, ror #8\n"
      "sxtb16 r6, r6\n"
      "subs r2, r2, #8\n"
      "stmia r0!, {r4-r7}\n"
      "bne 1b\n"
      "pop {r4-r7, pc}\n");
}

// clang-format on

std::uint32_t* widen_int4(std::uint32_t* out, const std::int8_t* lanes, std::uint32_t block) {
  std::uint32_t* const first = out++;
  std::int32_t sum = 0;
  const std::uint32_t half = block / 2;
  const std::int8_t* const end = lanes + half;
  do {
    const std::uint32_t low = load_lanes(lanes);
    const std::uint32_t high = load_lanes(lanes + half);
    out[0] = even_lanes(low);
    out[1] = even_lanes(high);
    out[2] = odd_lanes(low);
    out[3] = odd_lanes(high);
    for (int i = 0; i < 4; ++i) sum = subtract_lanes(sum, out[i]);
    out += 4;
    lanes += 4;
  } while (lanes != end);
  *first = static_cast<std::uint32_t>(sum);
  return out;
}

/// Blocks first to first + count - 1 of `x`.
void widen(std::uint32_t* out, const MatrixView& m, const ActivationView& x, std::uint32_t first,
           std::uint32_t count) {
  const std::int8_t* lanes = x.values + std::size_t{first} * m.block;
  for (std::uint32_t b = 0; b < count; ++b) {
    out = m.format == WeightFormat::int4 ? widen_int4(out, lanes, m.block)
                                         : widen_int8(out, lanes, m.block);
    *out++ = x.scales[first + b] << 1;
    lanes += m.block;
  }
  out[-1] |= 1;
}

/// What round_sums works on, as the assembly knows it.
struct Rounding {
  std::int32_t* out;         // (rows), at least one
  const std::int64_t* sums;  // (rows)
  const Scale16* scales;     // (rows)
  std::uint32_t factor;      // mantissa that all rows share
  std::int32_t shift;        // of a row whose scale's exponent is 0, less 32
  const std::int32_t* out_end;
};

// clang-format off

/// multiply_shift for rows with shifts of 33 to 63 whose results fit. Returns whether all were.
[[gnu::naked]] bool round_sums(const Rounding*) {
  // r11 is the shift less 32, r12:r7 the product without its lowest 32 bits. The last bit that is
  // shifted out is the half that rounds up.
  asm("push {r4-r11, lr}\n"
      "ldm r0, {r0-r5}\n"
      "mov r6, #1\n"
      "1:\n"
      "ldrh r9, [r2], #2\n"
      "ldrd r7, r8, [r1], #8\n"
      "lsrs r11, r9, #11\n"
      "ubfx r10, r9, #0, #11\n"
      "itt ne\n"
      "orrne r10, r10, #0x800\n"
      "subne r11, r11, #1\n"
      "mul r10, r10, r3\n"
      "sub r11, r4, r11\n"
      "umull r9, r7, r7, r10\n"
      "mov r12, #0\n"
      "umaal r7, r12, r8, r10\n"
      "asr r8, r8, #31\n"
      "mla r12, r8, r10, r12\n"
      "sub r9, r11, #1\n"
      "cmp r9, #30\n"
      "bhi 2f\n"
      "lsrs r7, r7, r11\n"
      "rsb r9, r11, #32\n"
      "lsl r9, r12, r9\n"
      "orr r7, r7, r9\n"
      "asr r12, r12, r11\n"
      "adcs r7, r7, #0\n"
      "adc r12, r12, #0\n"
      "cmp r12, r7, asr #31\n"
      "bne 2f\n"
      "3:\n"
      "str r7, [r0], #4\n"
      "cmp r0, r5\n"
      "bne 1b\n"
      "mov r0, r6\n"
      "pop {r4-r11, pc}\n"
      "2:\n"
      "mov r6, #0\n"
      "b 3b\n");
}

// clang-format on

struct Product {
  std::int32_t* out;
  const MatrixView& m;
  const ActivationView& x;
  int unit;             // exponent of a sum, before the scale of its row
  std::uint32_t parts;  // blocks that are widened at a time
};

/// Adds blocks first to first + count - 1 of `rows` rows, the widened ones, to their sums.
///   sums (rows, made even)
void multiply_part(std::int64_t* sums, const Product& p, std::uint32_t row, std::uint32_t rows,
                   std::uint32_t first, std::uint32_t count, const std::uint32_t* widened) {
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint32_t blocks = p.m.blocks();
  const std::uint32_t block_bytes = row_bytes / blocks;
  const std::uint8_t* weights =
      p.m.weights + std::size_t{row} * row_bytes + std::size_t{first} * block_bytes;
  const std::uint32_t pairs = rows / 2 * 2;
  Pass pass = {sums,    sums + pairs, widened,           2 * row_bytes - count * block_bytes,
               nullptr, blocks,       2 * blocks - count};
  if (p.m.format == WeightFormat::int4) {
    pass.factors = p.m.block_factors + std::size_t{row} * blocks + first;
  }
  if (pairs != 0) multiply(p.m.format, p.m.block, &pass, weights, weights + row_bytes);
  if (pairs == rows) return;
  // The last of an odd number of rows is multiplied twice, and counts once.
  weights += std::size_t{pairs} * row_bytes;
  pass.sums = sums + pairs;
  pass.sums_end = pass.sums + 2;
  if (pass.factors != nullptr) pass.factors += std::size_t{pairs} * blocks;
  pass.factors_of_row = 0;
  multiply(p.m.format, p.m.block, &pass, weights, weights);
}

void multiply_group(const Product& p, std::uint32_t row, std::uint32_t rows,
                    std::uint32_t* widened) {
  std::int64_t sums[kRowsPerGroup];
  for (std::uint32_t r = 0; r < rows; r += 2) {
    sums[r] = sums[r + 1] = 0;
    // Not a call of memset, which small libraries have for single bytes.
    asm("" ::: "memory");
  }
  const std::uint32_t blocks = p.m.blocks();
  for (std::uint32_t b = 0; b < blocks; b += p.parts) {
    const std::uint32_t count = std::min(p.parts, blocks - b);
    // One part stays for all groups.
    if (row == 0 || count != blocks) widen(widened, p.m, p.x, b, count);
    multiply_part(sums, p, row, rows, b, count, widened);
  }
  const Scale16* const scales = p.m.row_scales + row;
  std::int32_t* const out = p.out + row;
  const Rounding rounding = {out, sums, scales, p.x.factor.mantissa, -p.unit - 32, out + rows};
  if (round_sums(&rounding)) return;
  for (std::uint32_t r = 0; r < rows; ++r) {
    out[r] = multiply_shift(sums[r], scales[r].mantissa() * p.x.factor.mantissa,
                            -(p.unit + scales[r].exponent()));
  }
}

/// The same number in both halves.
std::uint32_t twice(int number) {
  return static_cast<std::uint32_t>(number) * 0x10001U;
}

/// Bits of a sum of `blocks` blocks, without its sign.
int sum_bits(const ActivationView& x, std::uint32_t block, std::uint32_t blocks) {
  std::uint64_t scales = 0;
  for (std::uint32_t b = 0; b < blocks; ++b) scales += x.scales[b];
  return significant_bits(scales * block) + 14;
}

/// Two rows, whose sums stand in `rows`.
void round_two(const WholeRows& rows, std::int32_t* out, int unit) {
  for (int r = 0; r < 2; ++r) {
    const Scale16 scale = rows.scales[r - 2];
    out[r] =
        multiply_shift(rows.sums[r], scale.mantissa() * rows.factor, -(unit + scale.exponent()));
  }
}

void multiply_two_by_two(WholeRows& rows, std::uint32_t block, int unit) {
  for (;;) {
    multiply_whole(block, &rows);
    if (rows.out == rows.out_end) return;
    round_two(rows, rows.out, unit);
    rows.out += 2;
    if (rows.out == rows.out_end) return;
  }
}

/// Rows of int8 from widened lanes, where shifts can be usual. Returns whether they can.
bool multiply_rows(const Product& p, const std::uint32_t* widened) {
  // A stored exponent is one more than the exponent, but for 0.
  const int shift = -p.unit - 31;
  const int most = std::min<int>(31, shift - 1);
  if (shift > 62) return false;
  // Those of a sum, of factor and of the mantissa of a scale; a result must have 30 at most.
  const int bits =
      sum_bits(p.x, p.m.block, p.m.blocks()) + significant_bits(p.x.factor.mantissa - 1) + 12;
  const int safe = std::max<int>(bits - 62, 1);
  if (safe > most) return false;
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint32_t pairs = p.m.rows / 2 * 2;
  WholeRows rows = {
      p.m.weights,  row_bytes,          widened,     p.m.row_scales,      p.out, p.out + pairs,
      twice(shift), twice(most - safe), twice(safe), p.x.factor.mantissa, {}};
  if (pairs != 0) multiply_two_by_two(rows, p.m.block, p.unit);
  if (pairs == p.m.rows) return true;
  // The last of an odd number of rows is multiplied twice, and counts once.
  const Scale16 scales[2] = {p.m.row_scales[pairs], p.m.row_scales[pairs]};
  std::int32_t out[2];
  rows.rows = p.m.weights + std::size_t{pairs} * row_bytes;
  rows.scales = scales;
  rows.out = out;
  rows.out_end = out + 2;
  multiply_two_by_two(rows, p.m.block, p.unit);
  p.out[pairs] = out[0];
  return true;
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  // Images have whole words in rows of such blocks.
  if (matrix.block < 8 || reinterpret_cast<std::uintptr_t>(matrix.weights) % 4 != 0) {
    return ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  }
  const Product p = {out, matrix, x, x.factor.exponent + matrix.exponent + fraction_bits,
                     kWords / (matrix.block / 2 + 2)};
  std::uint32_t widened[kWords];
  if (matrix.format == WeightFormat::int8 && matrix.blocks() <= p.parts) {
    widen(widened, matrix, x, 0, matrix.blocks());
    if (multiply_rows(p, widened)) return;
  }
  for (std::uint32_t r = 0; r < matrix.rows; r += kRowsPerGroup) {
    multiply_group(p, r, std::min(kRowsPerGroup, matrix.rows - r), widened);
  }
}

}  // namespace mote
