// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm.hpp"

#include <array>
#include <cstddef>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/norm_steps.hpp"
#include "kernels/quantize.hpp"
#include "mote/config.hpp"

namespace mote {
Multiplier ref::norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales,
                            int unit, std::uint32_t block, std::uint32_t dim,
                            std::uint64_t epsilon) {
  const int sum_unit = unit + kNormDroppedBits / 2;
  std::uint64_t total = scale_norm_epsilon(epsilon, sum_unit);
  for (std::size_t b = 0; b < scales.size(); ++b) {
    const std::uint64_t scale = scales[b];
    total += ((sum_squares(values + b * block, block) * scale) >> kNormDroppedBits) * scale;
  }
  return norm_factor_of(total, dim, sum_unit);
}

Scale16 apply_gains(std::span<std::int8_t> values, Scale16 scale, const std::int16_t* gains,
                    int gain_exponent) {
  MOTE_KERNEL_ASSERT(values.size() <= kMaxBlock);
  if (scale.mantissa() == 0) return scale;
  std::array<std::int64_t, kMaxBlock> products;
  for (std::size_t i = 0; i < values.size(); ++i) {
    products[i] = std::int64_t{values[i]} * gains[i];
  }
  const Multiplier unit = {scale.mantissa(), scale.exponent() - kScaleFractionBits + gain_exponent};
  return quantize_block_s64_s8(values.data(), {products.data(), values.size()}, unit);
}

}  // namespace mote
