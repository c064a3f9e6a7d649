// SPDX-License-Identifier: Apache-2.0
// How matvec_armv7em.cpp, which alone includes it, widens a vector's lanes to pairs of int16.
#pragma once

#include <cstdint>
#include <cstring>

namespace mote {
namespace {

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

/// Widens lanes up to `end`, in chunks of 8, 16 or 32. Where the scale of a chunk goes is the sum
/// of its magnitudes.
///   flip  0xff00ff00 for int8_pairs, 0 for int8
[[gnu::naked]] void widen_chunks(std::uint32_t*, const std::int8_t*, std::uint32_t, std::uint32_t,
                                 const std::int8_t*) {
  // lr is what the dot product begins with, r12 what an even lane counts there: -128, or nothing.
  asm("push {r2, r4-r11, lr}\n"
      "orr r12, r3, r3, lsr #1\n"
      "mov r9, #0x80808080\n"
      "2:\n"
      "push {r0}\n"
      "ldr r2, [sp, #4]\n"
      "mov r10, #0\n"
      "mov r11, #4\n"
      "mov lr, #0\n"
      "1:\n"
      "ldr r4, [r1], #4\n"
      "ldr r6, [r1], #4\n"
      "eor r8, r4, r9\n"
      "usada8 r10, r8, r9, r10\n"
      "eor r8, r6, r9\n"
      "usada8 r10, r8, r9, r10\n"
      "and r8, r3, r4, lsl #8\n"
      "sxtb16 r5, r4, ror #8\n"
      "ssub16 r5, r5, r8\n"
      "and r8, r3, r6, lsl #8\n"
      "sxtb16 r7, r6, ror #8\n"
      "ssub16 r7, r7, r8\n"
      "sxtb16 r4, r4\n"
      "sxtb16 r6, r6\n"
      "smlad lr, r4, r12, lr\n"
      "smlad lr, r6, r12, lr\n"
      "subs r2, r2, #8\n"
      "stmia r0!, {r4-r7}\n"
      "add r0, r0, r11\n"
      "mov r11, #0\n"
      "bne 1b\n"
      "pop {r4}\n"
      "ldr r5, [sp, #40]\n"
      "str r10, [r0], #4\n"
      "str lr, [r4, #16]\n"
      "cmp r1, r5\n"
      "bne 2b\n"
      "pop {r2, r4-r11, pc}\n");
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

}  // namespace
}  // namespace mote
