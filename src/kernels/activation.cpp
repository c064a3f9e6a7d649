// SPDX-License-Identifier: Apache-2.0
#include "kernels/activation.hpp"

#include "kernels/sigmoid.hpp"

namespace mote {

std::uint32_t sigmoid_q16(std::int32_t x) {
  return sigmoid(x);
}

std::int32_t silu_q16_q20(std::int32_t x) {
  return silu(x, sigmoid_q16(x));
}

std::int64_t swiglu_q36(std::int32_t gate, std::int32_t up) {
  return std::int64_t{silu_q16_q20(gate)} * up;
}

}  // namespace mote
