// SPDX-License-Identifier: Apache-2.0
// The product for each instruction set of aarch64; which one runs is chosen at start.
#pragma once

#include <cstdint>

#include "kernels/matvec.hpp"

namespace mote::neon {
/// Needs what every aarch64 has.
void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits);
}  // namespace mote::neon

namespace mote::dotprod {
/// Needs SDOT (FEAT_DotProd): Cortex-A55, A75 and later, Apple M1, Neoverse N1.
void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits);
}  // namespace mote::dotprod
