// SPDX-License-Identifier: Apache-2.0
// The products of rows in plain C++, the reference of those that know an instruction set. Widths
// that are common are compiled on their own, so that loops unroll.
#include <algorithm>
#include <array>

#include "base/platform.hpp"
#include "kernels/head_rows.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

// Products of a weight and a lane, |w * v| <= 2^20 * 128, that int32 can add up.
constexpr std::size_t kRowsPerFold = 15;
static_assert(std::int64_t{kRowsPerFold} * kMaxRowWeight * 128 < INT32_MAX);

/// Memory for one value of every lane, as `lanes_of` counts them.
template <typename T, std::size_t W>
using PerLane = std::array<T, W != 0 ? W : kMaxHeadSize>;

/// Lanes of a row: `W` where it is fixed, else (0) any number.
template <std::size_t W>
constexpr std::size_t lanes_of(std::size_t width) {
  return W != 0 ? W : width;
}

/// The lanes of x are int16 because compilers have instructions that multiply and add pairs.
template <std::size_t W>
std::int32_t dot(const std::int8_t* row, const std::int16_t* x, std::size_t width) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < lanes_of<W>(width); ++i) sum += x[i] * row[i];
  return sum;
}

/// A loop so short that gcc would take it apart before it looks for such instructions.
template <>
std::int32_t dot<16>(const std::int8_t* row, const std::int16_t* x, std::size_t) {
  std::int32_t sum = 0;
#pragma GCC unroll 1
  for (std::size_t i = 0; i < 16; ++i) sum += x[i] * row[i];
  return sum;
}

template <std::size_t W>
void dot_rows(std::int32_t* out, const std::int8_t* rows, const std::int8_t* x, std::size_t count,
              std::size_t width) {
  PerLane<std::int16_t, W> lanes;
  std::copy_n(x, lanes_of<W>(width), lanes.begin());
  for (std::size_t t = 0; t < count; ++t, rows += lanes_of<W>(width)) {
    out[t] = dot<W>(rows, lanes.data(), width);
  }
}

/// sums[i] += weight * row[i]. `Weight` is int16 where the weight allows it, because every vector
/// unit multiplies 16 bits and not every one 32.
template <std::size_t W, typename Weight>
void add_lanes(std::int32_t* sums, const std::int8_t* row, Weight weight, std::size_t width) {
  for (std::size_t i = 0; i < lanes_of<W>(width); ++i) {
    sums[i] += weight * static_cast<std::int16_t>(row[i]);
  }
}

template <std::size_t W>
void add_rows(std::int64_t* out, const std::int8_t* rows, const std::int32_t* weights,
              std::size_t count, std::size_t width) {
  const std::size_t lanes = lanes_of<W>(width);
  PerLane<std::int32_t, W> sums;
  for (std::size_t first = 0; first < count; first += kRowsPerFold) {
    const std::size_t end = std::min(count, first + kRowsPerFold);
    std::fill_n(sums.begin(), lanes, 0);
    for (std::size_t t = first; t < end; ++t) {
      const std::int32_t weight = weights[t];
      if (weight == 0) continue;
      const std::int8_t* row = rows + t * lanes;
      if (W == 8 || weight > INT16_MAX) {
        add_lanes<W>(sums.data(), row, weight, lanes);
      } else {
        add_lanes<W>(sums.data(), row, static_cast<std::int16_t>(weight), lanes);
      }
    }
    for (std::size_t i = 0; i < lanes; ++i) out[i] += sums[i];
  }
}

}  // namespace

void dot_rows_s8_s32(std::int32_t* out, const std::int8_t* rows, const std::int8_t* x,
                     std::size_t count, std::size_t width) {
  if constexpr (kFavorsSize) return dot_rows<0>(out, rows, x, count, width);
  switch (width) {
    case 8:
      return dot_rows<8>(out, rows, x, count, width);
    case 16:
      return dot_rows<16>(out, rows, x, count, width);
    case 32:
      return dot_rows<32>(out, rows, x, count, width);
    default:
      return dot_rows<0>(out, rows, x, count, width);
  }
}

void add_rows_s8_s64(std::int64_t* sums, const std::int8_t* rows, const std::int32_t* weights,
                     std::size_t count, std::size_t width) {
  if constexpr (kFavorsSize) return add_rows<0>(sums, rows, weights, count, width);
  switch (width) {
    case 8:
      return add_rows<8>(sums, rows, weights, count, width);
    case 16:
      return add_rows<16>(sums, rows, weights, count, width);
    case 32:
      return add_rows<32>(sums, rows, weights, count, width);
    default:
      return add_rows<0>(sums, rows, weights, count, width);
  }
}

}  // namespace mote
