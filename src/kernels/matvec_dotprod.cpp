// SPDX-License-Identifier: Apache-2.0
// The product with SDOT, which adds four products to each of four sums.
#include "kernels/matvec_aarch64.hpp"
#include "kernels/matvec_neon_rows.hpp"

namespace mote {
namespace {

struct DotProduct {
  INLINE static int32x4_t dot(int32x4_t sums, int8x16_t weights, int8x16_t x) {
    return vdotq_s32(sums, weights, x);
  }
};

}  // namespace

void dotprod::matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                            int fraction_bits) {
  matvec<DotProduct>(out, matrix, x, fraction_bits);
}

}  // namespace mote
