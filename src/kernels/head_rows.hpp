// SPDX-License-Identifier: Apache-2.0
// Rows of int8 lanes, one a position: the two products that attention is made of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mote {

/// Largest weight that `add_rows_s8_s64` takes.
inline constexpr std::int32_t kMaxRowWeight = 1 << 20;

/// out[t] = sum over i of rows[t][i] * x[i], exact: below 2^22 for 256 lanes.
///   out (count), rows (count, width), x (width); width 1 to 256
void dot_rows_s8_s32(std::int32_t* out, const std::int8_t* rows, const std::int8_t* x,
                     std::size_t count, std::size_t width);

/// sums[i] += sum over t of weights[t] * rows[t][i], exact.
///   sums (width), rows (count, width), weights (count) 0 to kMaxRowWeight; width 1 to 256
void add_rows_s8_s64(std::int64_t* sums, const std::int8_t* rows, const std::int32_t* weights,
                     std::size_t count, std::size_t width);

}  // namespace mote
