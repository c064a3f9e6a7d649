// SPDX-License-Identifier: Apache-2.0
// The product with what every aarch64 has.
#include "kernels/matvec_aarch64.hpp"
#include "kernels/matvec_neon_rows.hpp"

namespace mote {
namespace {

struct Neon {
  /// Adds 16 products to four sums. A product of int8 has 15 bits and a sign at -128 * -128, which
  /// lanes of x do not reach: two of them fit 16.
  INLINE static int32x4_t dot(int32x4_t sums, int8x16_t weights, int8x16_t x) {
    const int16x8_t products = vmull_s8(vget_low_s8(weights), vget_low_s8(x));
    return vpadalq_s16(sums, vmlal_high_s8(products, weights, x));
  }
};

}  // namespace

void neon::matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                         int fraction_bits) {
  matvec<Neon>(out, matrix, x, fraction_bits);
}

}  // namespace mote
