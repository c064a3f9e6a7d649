// SPDX-License-Identifier: Apache-2.0
// The loops of linear attention for Cortex-M with the DSP extension: a sum takes 10 instructions to
// decay and to be added to, or 16 where what is added is rounded, and 9 for its products with the
// features of two heads.
#include "attention/linear_steps.hpp"

namespace mote {
namespace {

/// Sums that decay and are added to. The assembly below knows the layout of this and the other
/// structure.
struct AddRow {
  std::int64_t* sums;
  const std::uint32_t* features;
  std::int32_t lane;
  const std::int64_t* end;
  std::uint32_t raised;  // decay * 2^16
  std::uint32_t mask;    // all ones where SMLAL takes `raised` for a negative number
  std::uint32_t drop;
  std::uint32_t rest;  // 32 - drop
};

struct DotTwo {
  const std::int64_t* sums;
  const std::uint32_t* features;
  const std::int64_t* end;
};

// clang-format off

// The sum r5, r6 decays to r5, r9; r7 becomes the feature, r8 is scratch.
#define MOTE_DECAY                            \
  "ldrd r5, r6, [r0]\n"                       \
  "ldr r7, [r1], #4\n"                        \
  "umull r8, r5, r5, r4\n"                    \
  "and r9, r6, r10\n"                         \
  "add r5, r5, r8, lsr #31\n"                 \
  "smlal r5, r9, r6, r4\n"

[[gnu::naked]] void add_row(const AddRow*) {
  asm("push {r4-r10, lr}\n"
      "ldrd r4, r10, [r0, #16]\n"
      "ldm r0, {r0-r3}\n"
      "1:\n"
      MOTE_DECAY
      "smlal r5, r9, r7, r2\n"
      "strd r5, r9, [r0], #8\n"
      "cmp r0, r3\n"
      "bne 1b\n"
      "pop {r4-r10, pc}\n");
}

// The last bit that the shift drops is left in the carry and added.
[[gnu::naked]] void add_row_rounded(const AddRow*) {
  asm("push {r4-r11, lr}\n"
      "ldrd r4, r10, [r0, #16]\n"
      "ldrd r12, lr, [r0, #24]\n"
      "ldm r0, {r0-r3}\n"
      "1:\n"
      MOTE_DECAY
      "smull r6, r7, r7, r2\n"
      "lsl r8, r7, lr\n"
      "lsrs r6, r6, r12\n"
      "add r6, r6, r8\n"
      "asr r7, r7, r12\n"
      "adcs r5, r5, r6\n"
      "adc r9, r9, r7\n"
      "strd r5, r9, [r0], #8\n"
      "cmp r0, r3\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

[[gnu::naked]] void dot_two(WideSum*, const DotTwo*) {
  asm("push {r0, r4-r11, lr}\n"
      "ldm r1, {r0-r2}\n"
      "mov r4, #0\n"
      "mov r5, #0\n"
      "mov r6, #0\n"
      "mov r7, #0\n"
      "mov r8, #0\n"
      "mov r9, #0\n"
      "mov r10, #0\n"
      "mov r11, #0\n"
      "1:\n"
      "ldrd r12, lr, [r0], #8\n"
      "ldr r3, [r1], #4\n"
      "smlal r4, r5, lr, r3\n"
      "umlal r6, r7, r12, r3\n"
      "ldr r3, [r1], #4\n"
      "smlal r8, r9, lr, r3\n"
      "umlal r10, r11, r12, r3\n"
      "cmp r0, r2\n"
      "bne 1b\n"
      "pop {r0}\n"
      "stm r0, {r4-r11}\n"
      "pop {r4-r11, pc}\n");
}

// clang-format on

}  // namespace

void decay_and_add(std::int64_t* sums, const std::uint32_t* features, std::int32_t lane, int shift,
                   std::uint32_t decay, std::size_t count) {
  const AddRow row = {sums,
                      features,
                      lane,
                      sums + count,
                      decay << 16,
                      decay >> 15 != 0 ? ~0U : 0,
                      static_cast<std::uint32_t>(shift),
                      static_cast<std::uint32_t>(32 - shift)};
  shift == 0 ? add_row(&row) : add_row_rounded(&row);
}

void dot_two_features(WideSum (&totals)[2], const std::int64_t* sums, const std::uint32_t* features,
                      std::size_t count) {
  const DotTwo rows = {sums, features, sums + count};
  dot_two(totals, &rows);
}

}  // namespace mote
