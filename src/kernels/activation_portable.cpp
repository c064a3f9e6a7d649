// SPDX-License-Identifier: Apache-2.0
// SwiGLU of many lanes in plain C++.
#include "base/platform.hpp"
#include "kernels/activation.hpp"
#include "kernels/sigmoid.hpp"

namespace mote {

void ref::swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                       std::size_t count) {
  if constexpr (kFavorsSize) {
    for (std::size_t i = 0; i < count; ++i) out[i] = std::int64_t{silu_q16_q20(gate[i])} * up[i];
  } else {
    const std::int32_t* const end = gate + count;
    for (; gate != end; ++gate) *out++ = std::int64_t{silu(*gate, sigmoid(*gate))} * *up++;
  }
}

}  // namespace mote
