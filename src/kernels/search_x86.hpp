// SPDX-License-Identifier: Apache-2.0
// find_above for the instruction sets of x86-64; which one runs is chosen at start.
#pragma once

#include "kernels/search.hpp"

namespace mote::avx2 {
std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound);
}  // namespace mote::avx2

namespace mote::avx512 {
std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound);
}  // namespace mote::avx512
