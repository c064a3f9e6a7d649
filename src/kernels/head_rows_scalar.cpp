// SPDX-License-Identifier: Apache-2.0
// The products of rows for 32-bit chips that have no vectors: eight lanes of x, or eight sums, stay
// in registers while the rows go by.
#include <algorithm>
#include <utility>

#include "kernels/head_rows.hpp"

namespace mote {
namespace {

constexpr std::size_t kLanes = 8;
/// Weights whose products with lanes, up to 2^7 each, int32 can add up.
constexpr std::int32_t kWeightsPerFold = (1 << 24) - 1;
static_assert(kMaxRowWeight <= kWeightsPerFold);

/// The lanes of one piece of all rows: out[t] = or += their product with those of x.
///   rows  where the piece begins in the first row; the next row is `width` further
template <std::size_t... I>
void dot_piece(std::int32_t* out, const std::int8_t* rows, const std::int8_t* x, std::size_t count,
               std::size_t width, bool is_first, std::index_sequence<I...>) {
  const std::int32_t lanes[] = {x[I]...};
  const std::int32_t* const end = out + count;
  if (is_first) {
    for (; out != end; ++out, rows += width) *out = ((lanes[I] * rows[I]) + ...);
  } else {
    for (; out != end; ++out, rows += width) *out += ((lanes[I] * rows[I]) + ...);
  }
}

/// sums[I] += the lanes of one piece of all rows, weighted.
template <std::size_t... I>
void add_piece(std::int64_t* sums, const std::int8_t* rows, const std::int32_t* weights,
               std::size_t count, std::size_t width, std::index_sequence<I...>) {
  const std::int32_t* const end = weights + count;
  while (weights != end) {
    std::int32_t part[sizeof...(I)] = {};
    std::int32_t room = kWeightsPerFold;
    for (; weights != end; ++weights, rows += width) {
      const std::int32_t weight = *weights;
      if (weight == 0) continue;
      if (weight > room) break;
      room -= weight;
      ((part[I] += weight * rows[I]), ...);
    }
    ((sums[I] += part[I]), ...);
  }
}

}  // namespace

void dot_rows_s8_s32(std::int32_t* out, const std::int8_t* rows, const std::int8_t* x,
                     std::size_t count, std::size_t width) {
  if (count == 0) return;
  std::size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    dot_piece(out, rows + i, x + i, count, width, i == 0, std::make_index_sequence<kLanes>());
  }
  for (; i < width; ++i) {
    dot_piece(out, rows + i, x + i, count, width, i == 0, std::make_index_sequence<1>());
  }
}

void add_rows_s8_s64(std::int64_t* sums, const std::int8_t* rows, const std::int32_t* weights,
                     std::size_t count, std::size_t width) {
  if (count == 0) return;
  std::size_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    add_piece(sums + i, rows + i, weights, count, width, std::make_index_sequence<kLanes>());
  }
  for (; i < width; ++i) {
    add_piece(sums + i, rows + i, weights, count, width, std::make_index_sequence<1>());
  }
}

}  // namespace mote
