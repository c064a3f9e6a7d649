// SPDX-License-Identifier: Apache-2.0
// RMSNorm (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019) of a vector that comes
// in int8 blocks: what is common to all lanes is one factor, taken from the blocks themselves.
// Gains are part of the weights that follow (SPEC.md, "Gains"), but for those of the final norm.
#pragma once

#include <cstdint>
#include <span>

#include "mote/matrix.hpp"
#include "mote/scale.hpp"

namespace mote {

/// Fraction bits of ModelConfig::norm_epsilon.
inline constexpr int kNormEpsilonFractionBits = 44;

namespace ref {

/// 1 / sqrt(mean square + epsilon) of a vector of `dim` lanes, from its blocks.
///   values (blocks * block) int8, zero past dim; scales (blocks) as align_scales makes them, which
///   returned `unit`; epsilon is ModelConfig::norm_epsilon
/// The mantissa has 20 bits. The relative error is below 2^-17 where the largest scale has all of
/// its 12 bits (from 2^-17, lanes of 0.001), else below 2^-7.
Multiplier norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales, int unit,
                       std::uint32_t block, std::uint32_t dim, std::uint64_t epsilon);

/// residual[i] += delta[i], saturated. // both (n)
void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta);

}  // namespace ref

/// The same bits, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
Multiplier norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales, int unit,
                       std::uint32_t block, std::uint32_t dim, std::uint64_t epsilon);
void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta);
#else
using ref::add_residual;
using ref::norm_factor;
#endif

/// Multiplies the lanes of one block by their gains and rounds them again.
///   values (n) in place, gains (n) real gain = gains[i] * 2^gain_exponent
/// Returns the new scale.
Scale16 apply_gains(std::span<std::int8_t> values, Scale16 scale, const std::int16_t* gains,
                    int gain_exponent);

}  // namespace mote
