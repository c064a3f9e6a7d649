// SPDX-License-Identifier: Apache-2.0
// The source of every set of float kernels. Each of float_kernels_<set>.cpp includes it, compiled
// for its own instructions; all that is here is therefore private to the file that includes it.
#pragma once

#include <cstring>

#include "calibrate/float_kernels.hpp"
#include "calibrate/portable_exp.hpp"

namespace mote::host {
namespace {

/// Numbers that are computed side by side in sums.
constexpr std::size_t kParts = 16;

template <std::size_t kLanes>
struct Vector {
  using Type [[gnu::vector_size(kLanes * sizeof(float))]] = float;
};

/// kRows rows of kVectors vectors of the result, in registers.
template <std::size_t kLanes, std::size_t kVectors, std::size_t kRows>
inline void add_tile(FloatCells out, FloatView a, FloatView b, std::size_t inner) {
  using Lanes = typename Vector<kLanes>::Type;
  Lanes sums[kRows][kVectors] = {};
  for (std::size_t i = 0; i < inner; ++i) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      Lanes lanes;
      std::memcpy(&lanes, b.data + i * b.row_stride + v * kLanes, sizeof(lanes));
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][v] += a.data[r * a.row_stride + i * a.column_stride] * lanes;
      }
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* cells = out.data + r * out.row_stride + v * kLanes;
      Lanes lanes;
      std::memcpy(&lanes, cells, sizeof(lanes));
      lanes += sums[r][v];
      std::memcpy(cells, &lanes, sizeof(lanes));
    }
  }
}

/// All rows of some columns.
template <std::size_t kLanes, std::size_t kVectors, std::size_t kRows>
inline void add_columns(FloatCells out, FloatView a, FloatView b, ProductShape shape) {
  std::size_t r = 0;
  for (; r + kRows <= shape.rows; r += kRows) {
    add_tile<kLanes, kVectors, kRows>(out, a, b, shape.inner);
    out.data += kRows * out.row_stride;
    a.data += kRows * a.row_stride;
  }
  for (; r < shape.rows; ++r) {
    add_tile<kLanes, kVectors, 1>(out, a, b, shape.inner);
    out.data += out.row_stride;
    a.data += a.row_stride;
  }
}

/// Columns from `first` on, in strips that become narrower where the wider ones no longer fit.
template <std::size_t kLanes, std::size_t kVectors, std::size_t kRows>
inline void add_strips(FloatCells out, FloatView a, FloatView b, ProductShape shape,
                       std::size_t first) {
  constexpr std::size_t kWidth = kLanes * kVectors;
  for (; first + kWidth <= shape.columns; first += kWidth) {
    add_columns<kLanes, kVectors, kRows>({out.data + first, out.row_stride}, a,
                                         {b.data + first, b.row_stride}, shape);
  }
  if constexpr (kVectors > 1) {
    add_strips<kLanes, 1, kRows>(out, a, b, shape, first);
  } else if constexpr (kLanes > 1) {
    add_strips<kLanes / 2, 1, kRows>(out, a, b, shape, first);
  }
}

inline float add_parts(const float* parts) {
  float sums[kParts];
  std::memcpy(sums, parts, sizeof(sums));
  for (std::size_t half = kParts / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

float sum_of(const float* in, std::size_t count) {
  float parts[kParts] = {};
  std::size_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (std::size_t p = 0; p < kParts; ++p) parts[p] += in[i + p];
  }
  for (std::size_t p = 0; i < count; ++i, ++p) parts[p] += in[i];
  return add_parts(parts);
}

float dot_of(const float* a, const float* b, std::size_t count) {
  float parts[kParts] = {};
  std::size_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (std::size_t p = 0; p < kParts; ++p) parts[p] += a[i + p] * b[i + p];
  }
  for (std::size_t p = 0; i < count; ++i, ++p) parts[p] += a[i] * b[i];
  return add_parts(parts);
}

float largest_of(const float* in, std::size_t count) {
  float parts[kParts];
  for (float& part : parts) part = in[0];
  std::size_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (std::size_t p = 0; p < kParts; ++p) {
      const float part = parts[p];
      const float number = in[i + p];
      parts[p] = part < number ? number : part;
    }
  }
  for (std::size_t p = 0; i < count; ++i, ++p) parts[p] = parts[p] < in[i] ? in[i] : parts[p];
  for (std::size_t half = kParts / 2; half > 0; half /= 2) {
    for (std::size_t p = 0; p < half; ++p) {
      parts[p] = parts[p] < parts[p + half] ? parts[p + half] : parts[p];
    }
  }
  return parts[0];
}

void exponentials(float* numbers, float shift, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) numbers[i] = portable_exp(numbers[i] - shift);
}

void swiglu(float* __restrict hidden, const float* __restrict gate, const float* __restrict up,
            std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    hidden[i] = gate[i] / (1 + portable_exp(-gate[i])) * up[i];
  }
}

/// d silu(x) / dx = s (1 + x (1 - s)), s the sigmoid of x.
void swiglu_back(float* __restrict gate_gradient, float* __restrict up_gradient,
                 const float* __restrict gate, const float* __restrict up, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float sigmoid = 1 / (1 + portable_exp(-gate[i]));
    const float slope = sigmoid * (1 + gate[i] * (1 - sigmoid));
    gate_gradient[i] = up_gradient[i] * up[i] * slope;
    up_gradient[i] = up_gradient[i] * (gate[i] * sigmoid);
  }
}

/// The set of vectors of kLanes numbers, two of which and kRows rows make a tile.
template <std::size_t kLanes, std::size_t kRows>
constexpr FloatKernels make_float_kernels(std::string_view name) {
  return {name,
          [](FloatCells out, FloatView a, FloatView b, ProductShape shape) {
            add_strips<kLanes, 2, kRows>(out, a, b, shape, 0);
          },
          exponentials,
          largest_of,
          sum_of,
          dot_of,
          swiglu,
          swiglu_back};
}

}  // namespace
}  // namespace mote::host
