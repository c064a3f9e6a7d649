// SPDX-License-Identifier: Apache-2.0
// Spreading a head's outliers over its lanes before it is rounded to int8.
#pragma once

#include <cstdint>
#include <span>

namespace mote {

/// Number of lanes of one transform: the largest power of two that divides the head size.
constexpr std::uint32_t hadamard_width(std::uint32_t head_size) {
  return head_size & (~head_size + 1U);
}

/// Replaces each run of hadamard_width(head size) lanes by its Walsh-Hadamard transform H, in
/// natural order and without the factor 1 / sqrt(width). It is exact. (H q)(H k) = width * (q k):
/// scores stay the same but for a power of two, while one large lane no longer sets the step for
/// all (Ashkboos et al., "QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs", 2024).
///   head (head size) |lane| < 2^54
void hadamard_transform(std::span<std::int64_t> head);
/// The same for lanes of 32 bits, |lane| < 2^31 / hadamard_width(head size).
void hadamard_transform(std::span<std::int32_t> head);

}  // namespace mote
