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

static_assert(std::uint64_t{kResidualLimit} * kResidualLimit <=
                  (~std::uint64_t{0} - (std::uint64_t{1} << 38)) / kMaxDim,
              "the sum of squares and epsilon fit 64 bits");

std::uint64_t sum_squares(std::span<const std::int32_t> residual) {
  std::uint64_t sum = 0;
  for (const std::int32_t lane : residual) {
    sum += static_cast<std::uint64_t>(std::int64_t{lane} * lane);
  }
  return sum;
}

Scale16 norm_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> residual,
                          const std::int16_t* gains, int gain_exponent, int fraction_bits) {
  MOTE_KERNEL_ASSERT(residual.size() <= kMaxBlock);
  std::array<std::int64_t, kMaxBlock> products;
  for (std::size_t i = 0; i < residual.size(); ++i) {
    products[i] = std::int64_t{residual[i]} * gains[i];
  }
  const Multiplier unit = {kUnitMultiplier.mantissa,
                           kUnitMultiplier.exponent + gain_exponent - fraction_bits};
  return quantize_block_s64_s8(out, {products.data(), residual.size()}, unit);
}

Multiplier norm_factor(std::uint64_t sum_of_squares, std::uint64_t epsilon, std::uint32_t dim,
                       int fraction_bits) {
  const std::uint64_t total = sum_of_squares + epsilon;
  const int lift = std::countl_zero(total);
  std::uint64_t mean = (total << lift) / dim;  // in units of 2^-lift
  int exponent = lift + std::countl_zero(mean);
  mean <<= std::countl_zero(mean);
  if (exponent % 2 != 0) {
    mean >>= 1;
    --exponent;
  }
  // sqrt(mean) = root * 2^(-exponent / 2), with root from 2^31 to 2^32.
  const std::uint32_t root = integer_sqrt(mean);
  return {static_cast<std::uint32_t>((std::uint64_t{1} << 51) / root),
          exponent / 2 - 51 + fraction_bits};
}

void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta) {
  for (std::size_t i = 0; i < residual.size(); ++i) {
    const std::int64_t sum = std::int64_t{residual[i]} + delta[i];
    residual[i] =
        static_cast<std::int32_t>(std::clamp<std::int64_t>(sum, -kResidualLimit, kResidualLimit));
  }
}

}  // namespace mote
