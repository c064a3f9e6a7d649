// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/quantize.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

static_assert(std::uint64_t{kMaxDim} << (14 + 27 - kNormDroppedBits + 27) <= std::uint64_t{1}
                                                                                 << 60);

std::uint64_t sum_squares(const std::int8_t* values, std::uint32_t count) {
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    sum += static_cast<std::uint32_t>(std::int32_t{values[i]} * values[i]);
  }
  return sum;
}

}  // namespace

std::uint64_t scale_norm_epsilon(std::uint64_t epsilon, int sum_unit) {
  const int shift = -kNormEpsilonFractionBits - 2 * sum_unit;
  return shift >= 0 ? epsilon << shift : epsilon >> -shift;
}

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

Multiplier norm_factor_of(std::uint64_t total, std::uint32_t dim, int sum_unit) {
  total = std::max<std::uint64_t>(total, 1);
  const int lift = std::countl_zero(total);
  std::uint64_t mean = divide(total << lift, dim);  // in units of 2^(2 * sum_unit - lift)
  int exponent = lift + std::countl_zero(mean);
  mean <<= std::countl_zero(mean);
  if (exponent % 2 != 0) {
    mean >>= 1;
    --exponent;
  }
  // sqrt(mean) = root * 2^(sum_unit - exponent / 2), with root from 2^31 to 2^32.
  const std::uint32_t root = integer_sqrt(mean);
  return {static_cast<std::uint32_t>(divide(std::uint64_t{1} << 51, root)),
          exponent / 2 - 51 - sum_unit};
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

void ref::add_residual(std::span<std::int32_t> residual, const std::int32_t* delta) {
  for (std::size_t i = 0; i < residual.size(); ++i) {
    residual[i] = saturate_s32(std::int64_t{residual[i]} + delta[i]);
  }
}

}  // namespace mote
