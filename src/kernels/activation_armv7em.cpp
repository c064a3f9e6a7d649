// SPDX-License-Identifier: Apache-2.0
// SwiGLU of many lanes for Cortex-M with the DSP extension: 31 instructions a lane, one of which
// divides.
#include <cstddef>
#include <cstdint>

#include "kernels/activation.hpp"
#include "kernels/exp2.hpp"

namespace mote {
namespace {

static_assert(kLog2eQ16 == (1 << 16) + 0x7154);

// clang-format off

/// sigmoid, silu and swiglu_q36 of each lane, without a branch:
/// - from 31 on 2^-x is shifted to nothing, so that magnitudes are limited to 32 only;
/// - x * log2(e) is x and the upper half of x times the fraction of log2(e), rounded;
/// - a shift by a register leaves the last bit that it drops in the carry, which rounds; the
///   subtraction of a power from the next one, which is smaller, leaves none where nothing shifts;
/// - 1 - p is, one unit less of p in Q16, p with all bits inverted.
/// // at least one lane
[[gnu::naked]] void swiglu(std::int64_t*, const std::int32_t*, const std::int32_t*,
                           const std::int32_t*, const std::uint32_t*) {
  asm("ldr r12, [sp]\n"
      "push {r4-r11, lr}\n"
      "mov r5, r12\n"
      "movs r6, #0\n"
      "movt r6, #0x7154\n"
      "mov r7, #128\n"
      "mov r8, #0x10000\n"
      "1:\n"
      "ldr r4, [r1], #4\n"
      "asr r9, r4, #31\n"
      "ssat r10, #22, r4\n"
      "eor r10, r10, r9\n"
      "sub r10, r10, r9\n"
      "smmlar r10, r10, r6, r10\n"
      "ubfx r11, r10, #8, #8\n"
      "add r11, r5, r11, lsl #2\n"
      "ldrd r11, r12, [r11]\n"
      "uxtb lr, r10\n"
      "lsr r10, r10, #16\n"
      "subs r12, r12, r11\n"
      "mls r12, r12, lr, r7\n"
      "sub r11, r11, r12, lsr #8\n"
      "lsrs r11, r11, r10\n"
      "adc r11, r11, #0x2000\n"
      "add r11, r8, r11, lsr #14\n"
      "rsb r12, r11, r11, lsr #1\n"
      "udiv r11, r12, r11\n"
      "eor r11, r11, r9\n"
      "add r11, r11, r9, lsr #16\n"
      "add r11, r11, #1\n"
      "ssat r4, #28, r4\n"
      "smull r10, r12, r4, r11\n"
      "lsrs r10, r10, #12\n"
      "adc r10, r10, r12, lsl #20\n"
      "ldr r12, [r3], #4\n"
      "smull r10, r12, r10, r12\n"
      "strd r10, r12, [r0], #8\n"
      "cmp r1, r2\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

// clang-format on

}  // namespace

void ref::swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                       std::size_t count) {
  if (count != 0) swiglu(out, gate, gate + count, up, kPowersOfTwo.data());
}

}  // namespace mote
