// SPDX-License-Identifier: Apache-2.0
// SwiGLU for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation.hpp"

namespace mote::avx2 {
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);
}  // namespace mote::avx2

namespace mote::avx512 {
/// Needs AVX512F and DQ.
void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count);
}  // namespace mote::avx512
