// SPDX-License-Identifier: Apache-2.0
// RMSNorm in two parts: gains before the exchange, the common factor after it.
#pragma once

#include <cstdint>
#include <span>

#include "mote/matrix.hpp"
#include "mote/scale.hpp"

namespace mote {

/// The residual stream saturates at +-(2^26 - 1), so that the sum of 4096 squares fits 64 bits.
inline constexpr std::int32_t kResidualLimit = (1 << 26) - 1;

/// Sum of squares of one slice; slices add up exactly. // residual (n), |lane| <= kResidualLimit
std::uint64_t sum_squares(std::span<const std::int32_t> residual);

/// Residual times gains, not yet divided by the root mean square, as one int8 block.
///   out (n), residual (n) in Q fraction_bits, gains (n)
Scale16 norm_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> residual,
                          const std::int16_t* gains, int gain_exponent, int fraction_bits);

/// 1 / sqrt(mean square + epsilon) of a residual of `dim` lanes in Q fraction_bits; `epsilon` is
/// ModelConfig::norm_epsilon. The mantissa has 20 bits; the relative error is below 2^-18.
Multiplier norm_factor(std::uint64_t sum_of_squares, std::uint64_t epsilon, std::uint32_t dim,
                       int fraction_bits);

/// residual[i] += delta[i], saturated at kResidualLimit. // both (n)
void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta);

}  // namespace mote
