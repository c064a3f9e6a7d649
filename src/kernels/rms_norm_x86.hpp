// SPDX-License-Identifier: Apache-2.0
// Operations of the norm and the residual, for the instruction sets of x86-64; which one runs is
// chosen at start.
#pragma once

#include "kernels/rms_norm.hpp"

namespace mote::avx2 {
Multiplier norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales, int unit,
                       std::uint32_t block, std::uint32_t dim, std::uint64_t epsilon);
void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta);
}  // namespace mote::avx2

namespace mote::avx512 {
Multiplier norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales, int unit,
                       std::uint32_t block, std::uint32_t dim, std::uint64_t epsilon);
void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta);
}  // namespace mote::avx512
