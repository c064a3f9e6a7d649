// SPDX-License-Identifier: Apache-2.0
// Scores and sums of values for Cortex-M with the DSP extension. A position takes 25 instructions
// for the score of a head of 8 lanes, 17 for its contribution and 17 for each 8 lanes of its value:
// the lanes of the query, or the sums, stay in registers, and loops leave what is rare to C++.
// pair_armv7em.cpp does two heads at once.
//
// A scale of a position has an implied bit unless its stored exponent is 0, and its products are
// shifted by base less the exponent: both are usual where that is at least 0 and below the base.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "attention/attend_armv7em.hpp"
#include "attention/attend_steps.hpp"
#include "kernels/head_rows.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

using armv7em::Contributions;
using armv7em::extend;
using armv7em::kLanes;
using armv7em::usual_base;

static_assert(kMaxRowWeight == 1 << kContributionBits);
/// Contributions whose products with lanes, up to 2^7 each, int32 can add up: of any size, by their
/// number, and by their sum.
constexpr std::uint32_t kContributionsPerFold = 15;
constexpr std::uint32_t kContributionPerFold = 1 << 24;

/// Positions whose scores are made, the last of which is at index -1. The assembly below knows the
/// layout of this and the other structures.
struct ScoreRows {
  std::uint32_t* scores_end;
  const std::int8_t* keys;  // of the position at `index`; heads of 8 lanes alone
  const Scale16* scales_end;
  std::int32_t index;  // of the next position, below 0
  std::uint32_t base;
  std::int32_t best;     // score so far
  std::uint32_t factor;  // mantissa; heads of 8 lanes: times 2^11
  union {
    std::uint32_t query[4];  // of 8 lanes: pairs of int16, lanes 0 and 2, 1 and 3, 4 and 6, 5 and 7
    std::uint32_t raise;     // bits by which a dot product is raised before it is multiplied
  };
  std::int32_t best_index;
};
static_assert(offsetof(ScoreRows, keys) == 4 && offsetof(ScoreRows, index) == 12 &&
              offsetof(ScoreRows, best) == 20 && offsetof(ScoreRows, query) == 28 &&
              offsetof(ScoreRows, raise) == 28 && offsetof(ScoreRows, best_index) == 44);

/// Rows whose products with a vector are made, two at a time.
struct DotRows {
  std::int32_t* out;
  const std::int32_t* out_end;
  const std::int8_t* rows;
  std::uint32_t width;         // a multiple of 8
  const std::uint32_t* lanes;  // of the vector, widened as those of ScoreRows
};

/// Positions whose weights become contributions, likewise.
struct ScaleRows {
  const std::uint32_t* weights_end;
  const Scale16* scales_end;
  std::int32_t index;
  std::uint32_t base;
  std::uint32_t sum;   // of contributions
  std::uint32_t* out;  // raised contributions, every other word
};

/// Positions whose values are added up, eight lanes of each.
struct AddRows {
  std::int64_t* out;  // (8)
  const std::int8_t* rows;
  const std::uint32_t* contributions;  // raised, every other word; a zero behind the last
  const std::uint32_t* end;
  std::uint32_t skip;  // bytes from behind the eight lanes of a row to those of the next
};

// clang-format off

// A score from the product r0 of dot product, mantissa and factor, whose scale has the bits r12: to
// the scores r1 at index r4, and on to 3 where it is above the best, r6.
#define MOTE_STORE_SCORE                      \
  "asr r0, r0, r12\n"                         \
  "add r0, r0, #1\n"                          \
  "asr r0, r0, #1\n"                          \
  "str r0, [r1, r4, lsl #2]\n"                \
  "cmp r0, r6\n"                              \
  "bgt 3f\n"                                  \
  "2:\n"                                      \
  "adds r4, r4, #1\n"                         \
  "bne 1b\n"                                  \
  "5:\n"                                      \
  "ldr r0, [sp], #4\n"                        \
  "str r2, [r0, #4]\n"                        \
  "str r4, [r0, #12]\n"                       \
  "str r6, [r0, #20]\n"                       \
  "pop {r4-r11, pc}\n"                        \
  "3:\n"                                      \
  "mov r6, r0\n"                              \
  "ldr r0, [sp]\n"                            \
  "str r4, [r0, #44]\n"                       \
  "b 2b\n"                                    \
  "4:\n"                                      \
  "str r0, [r1, r4, lsl #2]\n"                \
  "b 5b\n"

// The scale of the position at index r4: its mantissa to lr, the shift to r12, or on to 4.
#define MOTE_LOAD_SCALE                       \
  "ldrh r12, [r3, r4, lsl #1]\n"              \
  "ubfx lr, r12, #0, #11\n"                   \
  "sub r12, r5, r12, lsr #11\n"               \
  "orr lr, lr, #0x800\n"                      \
  "cmp r12, r5\n"                             \
  "bhs 4f\n"

/// Scores of heads of 8 lanes. Ends behind the last position, or at one that is not usual, whose
/// dot product is then in the place of its score; keys have gone on. The product of dot product
/// (2^17) and mantissa fits 32 bits.
[[gnu::naked]] void score_rows_8(ScoreRows*) {
  asm("push {r4-r11, lr}\n"
      "push {r0}\n"
      "ldmia r0!, {r1-r7}\n"
      "ldm r0, {r8-r11}\n"
      "1:\n"
      "ldrd r12, lr, [r2], #8\n"
      "sxtb16 r0, r12\n"
      "smuad r0, r0, r8\n"
      "sxtb16 r12, r12, ror #8\n"
      "smlad r0, r12, r9, r0\n"
      "sxtb16 r12, lr\n"
      "smlad r0, r12, r10, r0\n"
      "sxtb16 lr, lr, ror #8\n"
      "smlad r0, lr, r11, r0\n"
      MOTE_LOAD_SCALE
      "mul r0, r0, lr\n"
      "smmul r0, r0, r7\n"
      MOTE_STORE_SCORE);
}

/// Scores of heads of any size from dot products in their place.
[[gnu::naked]] void score_dots(ScoreRows*) {
  asm("push {r4-r11, lr}\n"
      "push {r0}\n"
      "ldmia r0!, {r1-r7}\n"
      "ldr r8, [r0]\n"
      "1:\n"
      "ldr r0, [r1, r4, lsl #2]\n"
      MOTE_LOAD_SCALE
      "mul lr, lr, r7\n"
      "lsl r0, r0, r8\n"
      "and r9, lr, r0, asr #31\n"
      "umull r10, r0, r0, lr\n"
      "sub r0, r0, r9\n"
      MOTE_STORE_SCORE);
}

// Eight lanes of a row at `row`, added to `sum`: r4 to r7 hold the vector's, r8 to r10 are scratch.
#define MOTE_DOT(row, sum)                    \
  "ldrd r8, r9, [" row "], #8\n"              \
  "sxtb16 r10, r8\n"                          \
  "smlad " sum ", r10, r4, " sum "\n"         \
  "sxtb16 r8, r8, ror #8\n"                   \
  "smlad " sum ", r8, r5, " sum "\n"          \
  "sxtb16 r10, r9\n"                          \
  "smlad " sum ", r10, r6, " sum "\n"         \
  "sxtb16 r9, r9, ror #8\n"                   \
  "smlad " sum ", r9, r7, " sum "\n"

[[gnu::naked]] void dot_two_by_two(const DotRows*) {
  asm("push {r4-r11, lr}\n"
      "push {r0}\n"
      "ldrd r2, lr, [r0, #8]\n"
      "ldr r0, [r0]\n"
      "mov r1, r2\n"
      "add r2, r2, lr\n"
      "2:\n"
      "ldr r3, [sp]\n"
      "mov r11, #0\n"
      "ldr r3, [r3, #16]\n"
      "mov r12, #0\n"
      "1:\n"
      "ldmia r3!, {r4-r7}\n"
      MOTE_DOT("r1", "r11")
      MOTE_DOT("r2", "r12")
      "subs lr, lr, #8\n"
      "bne 1b\n"
      "ldr r3, [sp]\n"
      "strd r11, r12, [r0], #8\n"
      "ldrd r4, r5, [r3, #4]\n"
      "ldr lr, [r3, #12]\n"
      "cmp r0, r4\n"
      "add r1, r1, lr\n"
      "add r2, r2, lr\n"
      "bne 2b\n"
      "pop {r0, r4-r11, pc}\n");
}

/// Ends behind the last position, or at one that is not usual.
[[gnu::naked]] void scale_rows(ScaleRows*) {
  asm("push {r4-r8, lr}\n"
      "ldm r0, {r1-r4, r8, lr}\n"
      "1:\n"
      "ldrh r5, [r2, r3, lsl #1]\n"
      "ldr r6, [r1, r3, lsl #2]\n"
      "lsl r7, r5, #20\n"
      "sub r5, r4, r5, lsr #11\n"
      "orr r7, r7, #0x80000000\n"
      "cmp r5, r4\n"
      "bhs 2f\n"
      "lsl r6, r6, #7\n"
      "umull r12, r6, r6, r7\n"
      "add r5, r5, #1\n"
      "lsrs r6, r6, r5\n"
      "adc r6, r6, #0\n"
      "add r8, r8, r6\n"
      "lsl r6, r6, #8\n"
      "str r6, [lr], #8\n"
      "adds r3, r3, #1\n"
      "bne 1b\n"
      "2:\n"
      "str r3, [r0, #8]\n"
      "strd r8, lr, [r0, #16]\n"
      "pop {r4-r8, pc}\n");
}

// Four lanes r12 of a value times the contribution r0, which is raised by 8 bits: so is each lane
// where it is the upper byte of a half word and the lower byte is zero, and SMLAW drops 16. lr is
// scratch, r3 the mask of upper bytes.
#define MOTE_ADD_LANES(a, b, c, d)            \
  "and lr, r3, r12, lsl #8\n"                 \
  "and r12, r12, r3\n"                        \
  "smlawb " a ", r0, lr, " a "\n"             \
  "smlawb " b ", r0, r12, " b "\n"            \
  "smlawt " c ", r0, lr, " c "\n"             \
  "smlawt " d ", r0, r12, " d "\n"
#define MOTE_FOLD(sum)                        \
  "ldrd r12, lr, [r0]\n"                      \
  "adds r12, r12, " sum "\n"                  \
  "adc lr, lr, " sum ", asr #31\n"            \
  "strd r12, lr, [r0], #8\n"
// `step` leads from the second word of a row to the next row. A contribution of zero is that of a
// position to pass over, or behind the last.
#define MOTE_ADD_ROWS(step, further)          \
  asm("push {r4-r11, lr}\n"                   \
      "ldrd r1, r2, [r0, #4]\n"               \
      "ldrd r3, r4, [r0, #12]\n"              \
      "push {r0, r3, r4, lr}\n"               \
      "mov r3, #0xff00ff00\n"                 \
      "mov r4, #0\n"                          \
      "mov r5, #0\n"                          \
      "mov r6, #0\n"                          \
      "mov r7, #0\n"                          \
      "mov r8, #0\n"                          \
      "mov r9, #0\n"                          \
      "mov r10, #0\n"                         \
      "mov r11, #0\n"                         \
      "1:\n"                                  \
      "ldr r0, [r2], #8\n"                    \
      "cbz r0, 3f\n"                          \
      "ldr r12, [r1], #4\n"                   \
      MOTE_ADD_LANES("r4", "r5", "r6", "r7")  \
      "ldr r12, [r1], #" step "\n"            \
      MOTE_ADD_LANES("r8", "r9", "r10", "r11") \
      further                                 \
      "b 1b\n"                                \
      "3:\n"                                  \
      "ldr r0, [sp, #4]\n"                    \
      "add r1, r1, #4 + " step "\n"           \
      further                                 \
      "cmp r2, r0\n"                          \
      "bls 1b\n"                              \
      "pop {r0-r3}\n"                         \
      "ldr r0, [r0]\n"                        \
      MOTE_FOLD("r4")                         \
      MOTE_FOLD("r5")                         \
      MOTE_FOLD("r6")                         \
      MOTE_FOLD("r7")                         \
      MOTE_FOLD("r8")                         \
      MOTE_FOLD("r9")                         \
      MOTE_FOLD("r10")                        \
      MOTE_FOLD("r11")                        \
      "pop {r4-r11, pc}\n")

/// Eight lanes of rows of 8, 16, 32 and of any multiple of 8.
[[gnu::naked]] void add_rows_8(const AddRows*) { MOTE_ADD_ROWS("4", ""); }
[[gnu::naked]] void add_rows_16(const AddRows*) { MOTE_ADD_ROWS("12", ""); }
[[gnu::naked]] void add_rows_32(const AddRows*) { MOTE_ADD_ROWS("28", ""); }
[[gnu::naked]] void add_rows_any(const AddRows*) {
  MOTE_ADD_ROWS("4",
                "ldr r12, [sp, #8]\n"
                "add r1, r1, r12\n");
}

// clang-format on

std::int32_t dot(const std::int8_t* a, const std::int8_t* b, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void dot_rows(std::int32_t* out, const std::int8_t* rows, const std::int8_t* x, std::uint32_t count,
              std::size_t width) {
  if (width % kLanes != 0) return dot_rows_s8_s32(out, rows, x, count, width);
  const std::uint32_t pairs = count / 2 * 2;
  if (pairs != 0) {
    std::uint32_t lanes[kMaxHeadSize / 2];
    extend(lanes, x, width);
    const DotRows two_by_two = {out, out + pairs, rows, static_cast<std::uint32_t>(width), lanes};
    dot_two_by_two(&two_by_two);
  }
  if (pairs != count) out[pairs] = dot(rows + pairs * width, x, width);
}

}  // namespace

void armv7em::extend(std::uint32_t* out, const std::int8_t* lanes, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 4) {
    std::uint32_t word;
    std::memcpy(&word, lanes + i, sizeof word);
    asm("sxtb16 %0, %1" : "=r"(out[i / 2]) : "r"(word));
    asm("sxtb16 %0, %1, ror #8" : "=r"(out[i / 2 + 1]) : "r"(word));
  }
}

void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                   const std::int8_t* query, Multiplier factor, std::size_t head_size) {
  if (segment.count == 0) return;
  const auto count = static_cast<std::int32_t>(segment.count);
  ScoreRows rows;
  rows.scores_end = scores + count;
  rows.keys = segment.keys;
  rows.scales_end = segment.key_scales + count;
  rows.index = -count;
  rows.best = largest.score;
  rows.best_index = 0;
  if (head_size == kLanes) {
    rows.base = usual_base(-21 - factor.exponent);
    rows.factor = factor.mantissa << 11;
    extend(rows.query, query, kLanes);
  } else {
    dot_rows(reinterpret_cast<std::int32_t*>(scores), segment.keys, query, segment.count,
             head_size);
    rows.raise = static_cast<std::uint32_t>(
        std::countl_zero(static_cast<std::uint32_t>(head_size << 14)) - 1);
    rows.base = usual_base(static_cast<int>(rows.raise) - 32 - factor.exponent);
    rows.factor = factor.mantissa;
  }
  for (;;) {
    head_size == kLanes ? score_rows_8(&rows) : score_dots(&rows);
    if (rows.index == 0) break;
    const auto dot_product = static_cast<std::int32_t>(rows.scores_end[rows.index]);
    const std::int32_t score = score_of(dot_product, rows.scales_end[rows.index], factor);
    rows.scores_end[rows.index] = static_cast<std::uint32_t>(score);
    if (score > rows.best) {
      rows.best = score;
      rows.best_index = rows.index;
    }
    if (++rows.index == 0) break;
  }
  if (rows.best_index != 0) largest.value_scale = segment.value_scales[count + rows.best_index];
  largest.score = rows.best;
}

namespace {

/// Makes contributions of weights. Returns their sum. // segment.count below 2^11
std::uint32_t scale_segment(Contributions& out, const std::uint32_t* weights,
                            const KvSegment& segment, int width) {
  const auto count = static_cast<std::int32_t>(segment.count);
  ScaleRows rows = {weights + count,
                    segment.value_scales + count,
                    -count,
                    usual_base(width - kContributionBits - 5),
                    0,
                    out.pairs[0]};
  for (;;) {
    scale_rows(&rows);
    if (rows.index == 0) return rows.sum;
    const auto scaled = static_cast<std::uint32_t>(
        contribution(rows.weights_end[rows.index], rows.scales_end[rows.index], width));
    *rows.out = scaled << armv7em::kContributionRaise;
    rows.out += 2;
    rows.sum += scaled;
    if (++rows.index == 0) return rows.sum;
  }
}

/// Adds eight lanes of the values of positions that lead to a zero.
void add_eight(const AddRows& add, std::size_t width) {
  switch (width) {
    case 8:
      return add_rows_8(&add);
    case 16:
      return add_rows_16(&add);
    case 32:
      return add_rows_32(&add);
    default:
      return add_rows_any(&add);
  }
}

}  // namespace

void armv7em::add_values(std::int64_t* out, const std::int8_t* values, std::uint32_t* contributions,
                         std::uint32_t count, std::uint32_t sum, std::size_t width) {
  const std::uint32_t step = sum < kContributionPerFold ? count : kContributionsPerFold;
  for (std::uint32_t first = 0; first < count; first += step) {
    const std::uint32_t rows = std::min(step, count - first);
    std::uint32_t* const end = contributions + std::size_t{2} * rows;
    const std::uint32_t behind = *end;
    *end = 0;
    for (std::size_t lane = 0; lane < width; lane += kLanes) {
      add_eight({out + lane, values + lane, contributions, end,
                 static_cast<std::uint32_t>(width - kLanes)},
                width);
    }
    *end = behind;
    contributions = end;
    values += rows * width;
  }
}

namespace {

/// Of heads whose lanes are no multiple of 8.
void add_odd_segment(std::int64_t* out, std::uint32_t* weights, const KvSegment& segment, int width,
                     std::size_t head_size) {
  for (std::uint32_t i = 0; i < segment.count; ++i) {
    weights[i] =
        static_cast<std::uint32_t>(contribution(weights[i], segment.value_scales[i], width));
  }
  add_rows_s8_s64(out, segment.values, reinterpret_cast<const std::int32_t*>(weights),
                  segment.count, head_size);
}

}  // namespace

void add_segment(std::int64_t* out, std::uint32_t* weights, const KvSegment& segment, int width,
                 std::size_t head_size, bool is_first) {
  if (is_first) clear_lanes(out, head_size);
  if (head_size % kLanes != 0) return add_odd_segment(out, weights, segment, width, head_size);
  KvSegment part = segment;
  Contributions made;
  for (std::uint32_t left = segment.count; left != 0; left -= part.count) {
    part.count = std::min(left, armv7em::kPositionsPerPart);
    const std::uint32_t sum = scale_segment(made, weights, part, width);
    armv7em::add_values(out, part.values, made.pairs[0], part.count, sum, head_size);
    weights += part.count;
    part.values += part.count * head_size;
    part.value_scales += part.count;
  }
}

}  // namespace mote
