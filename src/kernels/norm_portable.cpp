// SPDX-License-Identifier: Apache-2.0
// The loops of RMSNorm and of the residual stream in plain C++.
#include "base/fixed_point.hpp"
#include "kernels/norm_steps.hpp"

namespace mote {

std::uint32_t sum_squares(const std::int8_t* values, std::uint32_t count) {
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    sum += static_cast<std::uint32_t>(std::int32_t{values[i]} * values[i]);
  }
  return sum;
}

void ref::add_residual(std::span<std::int32_t> residual, const std::int32_t* delta) {
  for (std::size_t i = 0; i < residual.size(); ++i) {
    residual[i] = saturate_s32(std::int64_t{residual[i]} + delta[i]);
  }
}

}  // namespace mote
