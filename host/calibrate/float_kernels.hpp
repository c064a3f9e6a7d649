// SPDX-License-Identifier: Apache-2.0
// The loops that tuning spends its time in, one set of them for each instruction set. All sets give
// the same bits: each result is computed by itself, its terms added up in an order that the source
// states, and no compiler fuses multiplications and additions.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace mote::host {

/// Cell (r, c) is data[r * row_stride + c * column_stride].
struct FloatView {
  const float* data = nullptr;
  std::size_t row_stride = 0;
  std::size_t column_stride = 1;
};
/// Cell (r, c) is data[r * row_stride + c].
struct FloatCells {
  float* data = nullptr;
  std::size_t row_stride = 0;
};
struct ProductShape {
  std::size_t rows = 0;
  std::size_t inner = 0;
  std::size_t columns = 0;
};

/// Operands do not overlap results.
struct FloatKernels {
  std::string_view name;
  /// out += a b; each sum is that of its terms in their order, added to `out` as a whole.
  ///   out (rows, columns), a (rows, inner), b (inner, columns), b.column_stride 1
  void (*add_product)(FloatCells out, FloatView a, FloatView b, ProductShape shape);
  /// Each number x becomes e^(x - shift) as portable_exp has it.
  void (*exponentials)(float* numbers, float shift, std::size_t count);
  /// The largest of at least one number.
  float (*largest)(const float* in, std::size_t count);
  /// Sixteen sums, of every sixteenth number each, added up in pairs.
  float (*sum)(const float* in, std::size_t count);
  /// The same of a[i] * b[i].
  float (*dot)(const float* a, const float* b, std::size_t count);
  /// hidden = silu(gate) * up
  void (*swiglu)(float* hidden, const float* gate, const float* up, std::size_t count);
  /// Its gradient: that of `hidden` comes in `up_gradient`, which becomes that of `up`.
  void (*swiglu_back)(float* gate_gradient, float* up_gradient, const float* gate, const float* up,
                      std::size_t count);
};

/// All sets of the build, the slowest, which runs anywhere, first; those that do not run on this
/// computer are left out.
std::span<const FloatKernels* const> runnable_float_kernels();

/// The set of the name of the engine's kernels in use, or the portable one.
const FloatKernels& float_kernels();

}  // namespace mote::host
