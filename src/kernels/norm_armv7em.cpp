// SPDX-License-Identifier: Apache-2.0
// The loops of RMSNorm and of the residual stream for Cortex-M with the DSP extension: four lanes
// take 7 instructions to be squared and added up, 9 to be added to.
#include <cstddef>
#include <cstdint>

#include "kernels/norm_steps.hpp"

namespace mote {
namespace {

// clang-format off

/// The sum of squares of lanes. // their number a multiple of 4, at least 4
[[gnu::naked]] std::uint32_t square_lanes(const std::int8_t*, const std::int8_t*) {
  asm("mov r2, #0\n"
      "1:\n"
      "ldr r3, [r0], #4\n"
      "sxtb16 r12, r3\n"
      "smlad r2, r12, r12, r2\n"
      "sxtb16 r3, r3, ror #8\n"
      "smlad r2, r3, r3, r2\n"
      "cmp r0, r1\n"
      "bne 1b\n"
      "mov r0, r2\n"
      "bx lr\n");
}

/// sums[i] += addends[i], saturated. // their number a multiple of 4, at least 4
[[gnu::naked]] void add_lanes(std::int32_t*, const std::int32_t*, const std::int32_t*) {
  asm("push {r4-r10, lr}\n"
      "1:\n"
      "ldm r0, {r4-r7}\n"
      "ldmia r2!, {r8-r10, r12}\n"
      "qadd r4, r4, r8\n"
      "qadd r5, r5, r9\n"
      "qadd r6, r6, r10\n"
      "qadd r7, r7, r12\n"
      "stmia r0!, {r4-r7}\n"
      "cmp r0, r1\n"
      "bne 1b\n"
      "pop {r4-r10, pc}\n");
}

// clang-format on

std::int32_t add_saturated(std::int32_t a, std::int32_t b) {
  std::int32_t sum = 0;
  asm("qadd %0, %1, %2" : "=r"(sum) : "r"(a), "r"(b));
  return sum;
}

}  // namespace

std::uint32_t sum_squares(const std::int8_t* values, std::uint32_t count) {
  const std::uint32_t fours = count / 4 * 4;
  std::uint32_t sum = fours != 0 ? square_lanes(values, values + fours) : 0;
  for (std::uint32_t i = fours; i < count; ++i) {
    sum += static_cast<std::uint32_t>(values[i] * values[i]);
  }
  return sum;
}

void ref::add_residual(std::span<std::int32_t> residual, const std::int32_t* delta) {
  const std::size_t fours = residual.size() / 4 * 4;
  std::int32_t* const lanes = residual.data();
  if (fours != 0) add_lanes(lanes, lanes + fours, delta);
  for (std::size_t i = fours; i < residual.size(); ++i) {
    lanes[i] = add_saturated(lanes[i], delta[i]);
  }
}

}  // namespace mote
