// SPDX-License-Identifier: Apache-2.0
// The loops of quantisation for Cortex-M with the DSP extension. A lane of 32 bits takes 3.75
// instructions to be compared and 4.75 to be rounded, one of 64 bits 6.5 and 8.5. A shift by a
// register leaves the last bit that it drops in the carry, so that an addition of zero with carry
// rounds half up.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/quantize_steps.hpp"

namespace mote {
namespace {

// clang-format off

// The lane is compared with the largest magnitude so far, r2: it is not above it where lane + r2 is
// at most r3 = 2 * r2. Else on to `above`, which comes back to `back`.
#define MOTE_COMPARE_32(lane, above, back)    \
  "add r12, " lane ", r2\n"                   \
  "cmp r12, r3\n"                             \
  "bhi " above "f\n"                          \
  back ":\n"
// No lane is above 2^31, whose double is 0.
#define MOTE_ABOVE_32(lane, above, back)      \
  above ":\n"                                 \
  "eor r2, " lane ", " lane ", asr #31\n"     \
  "sub r2, r2, " lane ", asr #31\n"           \
  "lsls r3, r2, #1\n"                         \
  "bne " back "b\n"                           \
  "b 9f\n"

/// The largest magnitude of lanes. // their number a multiple of 4, at least 4
[[gnu::naked]] std::uint32_t largest_s32(const std::int32_t*, const std::int32_t*) {
  asm("push {r4-r7, lr}\n"
      "mov r2, #0\n"
      "mov r3, #0\n"
      "1:\n"
      "ldmia r0!, {r4-r7}\n"
      MOTE_COMPARE_32("r4", "2", "12")
      MOTE_COMPARE_32("r5", "3", "13")
      MOTE_COMPARE_32("r6", "4", "14")
      MOTE_COMPARE_32("r7", "5", "15")
      "cmp r0, r1\n"
      "bne 1b\n"
      "b 9f\n"
      MOTE_ABOVE_32("r4", "2", "12")
      MOTE_ABOVE_32("r5", "3", "13")
      MOTE_ABOVE_32("r6", "4", "14")
      MOTE_ABOVE_32("r7", "5", "15")
      "9:\n"
      "mov r0, r2\n"
      "pop {r4-r7, pc}\n");
}

// The same of 64 bits: the largest magnitude is r2 and r3, its double r8 and r9.
#define MOTE_COMPARE_64(low, high, above, back) \
  "adds r12, " low ", r2\n"                   \
  "adc lr, " high ", r3\n"                    \
  "cmp r8, r12\n"                             \
  "sbcs r12, r9, lr\n"                        \
  "blo " above "f\n"                          \
  back ":\n"
#define MOTE_ABOVE_64(low, high, above, back) \
  above ":\n"                                 \
  "asr r12, " high ", #31\n"                  \
  "eor r2, " low ", r12\n"                    \
  "eor r3, " high ", r12\n"                   \
  "subs r2, r2, r12\n"                        \
  "sbc r3, r3, r12\n"                         \
  "adds r8, r2, r2\n"                         \
  "adc r9, r3, r3\n"                          \
  "b " back "b\n"

/// The largest magnitude of lanes below 2^62. // their number even, at least 2
[[gnu::naked]] std::uint64_t largest_s64(const std::int64_t*, const std::int64_t*) {
  asm("push {r4-r9, lr}\n"
      "mov r2, #0\n"
      "mov r3, #0\n"
      "mov r8, #0\n"
      "mov r9, #0\n"
      "1:\n"
      "ldmia r0!, {r4-r7}\n"
      MOTE_COMPARE_64("r4", "r5", "2", "12")
      MOTE_COMPARE_64("r6", "r7", "3", "13")
      "cmp r0, r1\n"
      "bne 1b\n"
      "mov r0, r2\n"
      "mov r1, r3\n"
      "pop {r4-r9, pc}\n"
      MOTE_ABOVE_64("r4", "r5", "2", "12")
      MOTE_ABOVE_64("r6", "r7", "3", "13"));
}

// A lane times the ratio r3, shifted by r12, to the bytes at r0.
#define MOTE_ROUND(lane)                      \
  "smmul " lane ", " lane ", r3\n"            \
  "asrs " lane ", " lane ", r12\n"            \
  "adc " lane ", " lane ", #0\n"              \
  "strb " lane ", [r0], #1\n"

/// Rounds lanes. // their number a multiple of 4, at least 4; bits 1 to 32
[[gnu::naked]] void round_s32(std::int8_t*, const std::int32_t*, const std::int32_t*, std::int32_t,
                              int) {
  asm("ldr r12, [sp]\n"
      "push {r4-r7, lr}\n"
      "1:\n"
      "ldmia r1!, {r4-r7}\n"
      MOTE_ROUND("r4")
      MOTE_ROUND("r5")
      MOTE_ROUND("r6")
      MOTE_ROUND("r7")
      "cmp r1, r2\n"
      "bne 1b\n"
      "pop {r4-r7, pc}\n");
}

/// Rounds the low words of lanes. // their number even, at least 2
[[gnu::naked]] void round_low_words(std::int8_t*, const std::int64_t*, const std::int64_t*,
                                    std::int32_t, int) {
  asm("ldr r12, [sp]\n"
      "push {r4-r7, lr}\n"
      "1:\n"
      "ldmia r1!, {r4-r7}\n"
      MOTE_ROUND("r4")
      MOTE_ROUND("r6")
      "cmp r1, r2\n"
      "bne 1b\n"
      "pop {r4-r7, pc}\n");
}

// The drop is r8, and 32 less it r9.
#define MOTE_NARROW(low, high)                \
  "lsl " high ", " high ", r9\n"              \
  "lsrs " low ", " low ", r8\n"               \
  "adc " low ", " low ", " high "\n"

/// Narrows lanes by 1 to 32 bits and rounds them. // their number even, at least 2
[[gnu::naked]] void round_s64(std::int8_t*, const std::int64_t*, const std::int64_t*, std::int32_t,
                              int, int) {
  asm("ldr r12, [sp]\n"
      "push {r4-r9, lr}\n"
      "ldr r8, [sp, #32]\n"
      "rsb r9, r8, #32\n"
      "1:\n"
      "ldmia r1!, {r4-r7}\n"
      MOTE_NARROW("r4", "r5")
      MOTE_ROUND("r4")
      MOTE_NARROW("r6", "r7")
      MOTE_ROUND("r6")
      "cmp r1, r2\n"
      "bne 1b\n"
      "pop {r4-r9, pc}\n");
}

// clang-format on

/// What a loop for `step` lanes at a time leaves.
template <typename Lane>
std::span<const Lane> rest_of(std::span<const Lane> in, std::size_t step) {
  return in.last(in.size() % step);
}

template <typename Lane>
std::uint64_t largest_with_rest(std::uint64_t largest, std::span<const Lane> rest) {
  for (const std::int64_t lane : rest) {
    largest = std::max(largest, static_cast<std::uint64_t>(lane < 0 ? -lane : lane));
  }
  return largest;
}

template <typename Lane>
void round_rest(std::int8_t* out, std::span<const Lane> rest, int drop, std::int32_t ratio,
                int shift) {
  for (const Lane lane : rest) {
    const std::int32_t low = drop == 0 ? static_cast<std::int32_t>(lane) : narrow(lane, drop);
    *out++ = round_narrow(low, ratio, shift);
  }
}

}  // namespace

std::uint64_t largest_magnitude(std::span<const std::int32_t> in) {
  const auto rest = rest_of(in, 4);
  const std::int32_t* const end = rest.data();
  return largest_with_rest(end == in.data() ? 0 : largest_s32(in.data(), end), rest);
}

std::uint64_t largest_magnitude(std::span<const std::int64_t> in) {
  const auto rest = rest_of(in, 2);
  const std::int64_t* const end = rest.data();
  return largest_with_rest(end == in.data() ? 0 : largest_s64(in.data(), end), rest);
}

void round_lanes(std::int8_t* out, std::span<const std::int32_t> in, int drop, std::int32_t ratio,
                 int shift) {
  const auto rest = drop == 0 ? rest_of(in, 4) : in;
  const std::size_t count = in.size() - rest.size();
  if (count != 0) round_s32(out, in.data(), rest.data(), ratio, shift + 1);
  round_rest(out + count, rest, drop, ratio, shift);
}

void round_lanes(std::int8_t* out, std::span<const std::int64_t> in, int drop, std::int32_t ratio,
                 int shift) {
  const auto rest = rest_of(in, 2);
  const std::size_t count = in.size() - rest.size();
  if (count != 0) {
    drop == 0 ? round_low_words(out, in.data(), rest.data(), ratio, shift + 1)
              : round_s64(out, in.data(), rest.data(), ratio, shift + 1, drop);
  }
  round_rest(out + count, rest, drop, ratio, shift);
}

}  // namespace mote
