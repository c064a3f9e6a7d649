// SPDX-License-Identifier: Apache-2.0
// Operations on lanes where no instruction set has a form of its own: those of the reference.
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/activation.hpp"
#include "kernels/quantize.hpp"

namespace mote {

Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit) {
  return ref::quantize_block_s64_s8(out, in, unit);
}

Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit) {
  return ref::quantize_block_s32_s8(out, in, unit);
}

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = swiglu_q36(gate[i], up[i]);
}

}  // namespace mote
