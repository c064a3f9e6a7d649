// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.hpp"

#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"

namespace mote {

std::uint64_t softmax_weights(std::span<std::uint32_t> scores, std::int32_t largest) {
  std::uint64_t sum = 0;
  for (std::uint32_t& score : scores) {
    // The difference of two int32 always fits uint32.
    const std::uint32_t below = static_cast<std::uint32_t>(largest) - score;
    score = static_cast<std::uint32_t>(shift_round(exp2_negative(below), 30 - kWeightFractionBits));
    sum += score;
  }
  return sum;
}

}  // namespace mote
