// SPDX-License-Identifier: Apache-2.0
// The product for each instruction set of x86-64; which one runs is chosen at start.
#pragma once

#include <cstdint>

#include "kernels/matvec.hpp"

namespace mote::avx2 {
void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits);
}  // namespace mote::avx2

namespace mote::avx512 {
/// Needs AVX512F, BW, DQ, VL and VNNI.
void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits);
}  // namespace mote::avx512
