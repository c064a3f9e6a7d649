// SPDX-License-Identifier: Apache-2.0
// The product where no instruction set has one of its own: the reference.
#include <cstdint>

#include "kernels/matvec.hpp"

namespace mote {

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  ref::matvec_s8_s32(out, matrix, x, fraction_bits);
}

}  // namespace mote
