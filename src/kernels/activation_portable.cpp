// SPDX-License-Identifier: Apache-2.0
// SwiGLU of many lanes where no instruction set has a form of its own.
#include <cstddef>
#include <cstdint>

#include "kernels/activation.hpp"

namespace mote {

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = swiglu_q36(gate[i], up[i]);
}

}  // namespace mote
