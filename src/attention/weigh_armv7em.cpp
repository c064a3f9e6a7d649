// SPDX-License-Identifier: Apache-2.0
// Weights of positions from their scores, for Cortex-M with the DSP extension: 22 instructions
// each.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "attention/attend_steps.hpp"
#include "kernels/exp2.hpp"
#include "kernels/softmax.hpp"

namespace mote {
namespace {

/// Positions whose scores become weights, the last of which is at index -1. The assembly below
/// knows its layout.
struct WeighRows {
  std::uint32_t* scores_end;
  const Scale16* scales_end;
  std::int32_t index;  // of the next position, below 0
  std::int32_t largest;
  std::uint32_t limit;  // as WeightTotals has it
  int width;            // less 11
  std::uint32_t sum;
  const std::uint32_t* powers;  // kPowersOfTwo
};
static_assert(kWeightFractionBits == 24 && kScoreFractionBits == 16);

// clang-format off

/// softmax_weight of each score. Ends behind the last position, or at one that may widen the
/// totals, whose weight is then made and added.
[[gnu::naked]] void weigh_rows(WeighRows*) {
  asm("push {r4-r11, lr}\n"
      "ldr r8, [r0, #28]\n"
      "mov lr, #128\n"
      "ldrd r1, r2, [r0]\n"
      "ldrd r3, r4, [r0, #8]\n"
      "ldrd r5, r6, [r0, #16]\n"
      "ldr r7, [r0, #24]\n"
      "1:\n"
      "ldr r9, [r1, r3, lsl #2]\n"
      "sub r9, r4, r9\n"
      "cmp r9, #0x1a0000\n"
      "bhs 3f\n"
      "ubfx r10, r9, #8, #8\n"
      "add r10, r8, r10, lsl #2\n"
      "uxtb r12, r9\n"
      "ldrd r10, r11, [r10]\n"
      "lsr r9, r9, #16\n"
      "sub r11, r10, r11\n"
      "mla r11, r11, r12, lr\n"
      "ldrh r12, [r2, r3, lsl #1]\n"
      "sub r10, r10, r11, lsr #8\n"
      "lsrs r10, r10, r9\n"  // no bit is dropped by 0, and the comparison left no carry
      "adc r10, r10, #32\n"
      "lsr r10, r10, #6\n"
      "str r10, [r1, r3, lsl #2]\n"
      "add r7, r7, r10\n"
      "cmp r12, r5\n"
      "bhs 4f\n"
      "2:\n"
      "adds r3, r3, #1\n"
      "bne 1b\n"
      "5:\n"
      "str r3, [r0, #8]\n"
      "str r7, [r0, #24]\n"
      "pop {r4-r11, pc}\n"
      "3:\n"
      "mov r10, #0\n"
      "str r10, [r1, r3, lsl #2]\n"
      "b 2b\n"
      // A product has at most 12 bits more than the weight.
      "4:\n"
      "lsrs r9, r12, #11\n"
      "beq 5b\n"
      "subs r9, r6, r9\n"
      "bmi 5b\n"
      "lsrs r10, r10, r9\n"
      "beq 2b\n"
      "b 5b\n");
}

// clang-format on

}  // namespace

void weigh_segment(std::uint32_t* scores, WeightTotals& totals, const KvSegment& segment,
                   std::int32_t largest) {
  const Scale16* scales = segment.value_scales;
  for (std::uint32_t left = segment.count; left != 0;) {
    const std::uint32_t count = std::min<std::uint32_t>(left, kWeightsPerFold);
    scores += count;
    scales += count;
    left -= count;
    WeighRows rows = {
        scores, scales, -static_cast<std::int32_t>(count), largest, 0, 0, 0, kPowersOfTwo.data()};
    do {
      rows.limit = totals.limit();
      rows.width = totals.width() - 11;
      weigh_rows(&rows);
      if (rows.index == 0) break;
      totals.widen(scores[rows.index], scales[rows.index]);
    } while (++rows.index != 0);
    totals.sum += rows.sum;
  }
}

}  // namespace mote
