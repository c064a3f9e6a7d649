// SPDX-License-Identifier: Apache-2.0
// Weights of positions from their scores, for RV32IM: 24 1/2 instructions each, two at a time.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "attention/attend_steps.hpp"
#include "kernels/exp2.hpp"
#include "kernels/softmax.hpp"

namespace mote {
namespace {

/// Positions whose scores become weights. The assembly below knows its layout.
struct WeighRows {
  std::uint32_t* scores;  // of the next position
  const std::uint32_t* end;
  const Scale16* scales;
  std::int32_t largest;
  std::uint32_t limit;  // as WeightTotals has it
  int width;            // less 11
  std::uint32_t sum;
  const std::uint32_t* powers;  // kPowersOfTwo
};
static_assert(kWeightFractionBits == 24 && kScoreFractionBits == 16);

// Registers: a0 rows, a1 scores, a2 scales, a3 end, a4 largest, a5 limit, a6 sum, a7 powers, t4
// width, t5 26, t6 the scale of a position, t3 its weight; t0 to t2 are free.
// clang-format off

// softmax_weight of the score at `at`; `far` is where to go if it is zero, `back` where from.
#define MOTE_RV32_WEIGH(at, scale, far, back, large) \
  "lw t0, " at "(a1)\n"                              \
  "lhu t6, " scale "(a2)\n"                          \
  "sub t0, a4, t0\n"                                 \
  "srli t1, t0, 16\n"                                \
  "bgeu t1, t5, " far "f\n"                          \
  "srli t2, t0, 6\n"                                 \
  "andi t2, t2, 1020\n"                              \
  "add t2, t2, a7\n"                                 \
  "lw t3, 0(t2)\n"                                   \
  "lw t2, 4(t2)\n"                                   \
  "andi t0, t0, 255\n"                               \
  "sub t2, t3, t2\n"                                 \
  "mul t2, t2, t0\n"                                 \
  "addi t2, t2, 128\n"                               \
  "srli t2, t2, 8\n"                                 \
  "sub t3, t3, t2\n"                                 \
  "slli t3, t3, 1\n"                                 \
  "srl t3, t3, t1\n"                                 \
  "addi t3, t3, 65\n"                                \
  "srli t3, t3, 7\n"                                 \
  "add a6, a6, t3\n"                                 \
  back ":\n"                                         \
  "sw t3, " at "(a1)\n"                              \
  "bgeu t6, a5, " large "f\n"
// Of a scale from the limit on: a product has at most 12 bits more than the weight of 25. `on` is
// where to go if it needs no further bit, else `end`.
#define MOTE_RV32_OFFER(on, end) \
  "srli t0, t6, 11\n"            \
  "beqz t0, " end "f\n"          \
  "sub t0, t4, t0\n"             \
  "bltz t0, " end "f\n"          \
  "li t1, 25\n"                  \
  "bge t0, t1, " on "b\n"        \
  "srl t0, t3, t0\n"             \
  "beqz t0, " on "b\n"

/// softmax_weight of each score, up to the end or the first that may widen the totals, whose weight
/// is made and added all the same. // at least one position
void weigh_rows(WeighRows& rows) {
  register WeighRows* first asm("a0") = &rows;
  asm volatile(
      "lw a1, 0(a0)\n"
      "lw a3, 4(a0)\n"
      "lw a2, 8(a0)\n"
      "lw a4, 12(a0)\n"
      "lw a5, 16(a0)\n"
      "lw t4, 20(a0)\n"
      "lw a6, 24(a0)\n"
      "lw a7, 28(a0)\n"
      "li t5, 26\n"
      "sub t0, a3, a1\n"
      "andi t0, t0, 4\n"
      "beqz t0, 1f\n"
      "addi a1, a1, -4\n"
      "addi a2, a2, -2\n"
      "j 2f\n"
      "1:\n"
      MOTE_RV32_WEIGH("0", "0", "3", "5", "7")
      "2:\n"
      MOTE_RV32_WEIGH("4", "2", "4", "6", "8")
      "10:\n"
      "addi a1, a1, 8\n"
      "addi a2, a2, 4\n"
      "bne a1, a3, 1b\n"
      "j 12f\n"
      "3:\n"
      "li t3, 0\n"
      "j 5b\n"
      "4:\n"
      "li t3, 0\n"
      "j 6b\n"
      "7:\n"
      MOTE_RV32_OFFER("2", "12")
      "j 12f\n"
      "8:\n"
      MOTE_RV32_OFFER("10", "9")
      "9:\n"
      "addi a1, a1, 4\n"
      "addi a2, a2, 2\n"
      "12:\n"
      "sw a1, 0(a0)\n"
      "sw a2, 8(a0)\n"
      "sw a6, 24(a0)\n"
      : "+r"(first)
      :
      : "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6",
        "memory");
}

// clang-format on

}  // namespace

void weigh_segment(std::uint32_t* scores, WeightTotals& totals, const KvSegment& segment,
                   std::int32_t largest) {
  WeighRows rows = {scores, nullptr, segment.value_scales, largest, 0, 0, 0, kPowersOfTwo.data()};
  for (std::uint32_t left = segment.count; left != 0;) {
    const std::uint32_t count = std::min<std::uint32_t>(left, kWeightsPerFold);
    left -= count;
    rows.end = rows.scores + count;
    rows.sum = 0;
    while (rows.scores != rows.end) {
      rows.limit = totals.limit();
      rows.width = totals.width() - 11;
      weigh_rows(rows);
      if (rows.scores == rows.end) break;
      totals.widen(*rows.scores++, *rows.scales++);
    }
    totals.sum += rows.sum;
  }
}

}  // namespace mote
