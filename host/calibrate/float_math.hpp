// SPDX-License-Identifier: Apache-2.0
// Sums of products and exponentials in float whose bits depend on neither library nor machine:
// every lane is computed by itself, in a fixed order.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace mote::host {

/// out[t][j] += sum over i of a[t][i] * b[i][j].
///   out (rows, columns), a (rows, inner), b (inner, columns)
void add_product(float* out, const float* a, const float* b, std::size_t rows, std::size_t inner,
                 std::size_t columns);

/// out[i][j] += sum over t of a[t][i] * b[t][j].
///   out (rows, columns), a (count, rows), b (count, columns)
void add_outer_products(float* out, const float* a, const float* b, std::size_t count,
                        std::size_t rows, std::size_t columns);

/// e^x within 3e-7 of itself; x is limited to +-87.
inline float portable_exp(float x) {
  const float limited = std::clamp(x, -87.0F, 87.0F);
  const float turns = limited * 1.44269504F;
  const auto power = static_cast<std::int32_t>(turns < 0 ? turns - 0.5F : turns + 0.5F);
  const auto whole = static_cast<float>(power);
  // ln 2 in two parts, the first exact in a product with `whole`.
  const float rest = (limited - whole * 0.693359375F) + whole * 2.12194440e-4F;
  float sum = 1.0F / 5040;
  sum = sum * rest + 1.0F / 720;
  sum = sum * rest + 1.0F / 120;
  sum = sum * rest + 1.0F / 24;
  sum = sum * rest + 1.0F / 6;
  sum = sum * rest + 0.5F;
  sum = sum * rest + 1.0F;
  sum = sum * rest + 1.0F;
  return sum * std::bit_cast<float>((power + 127) << 23);
}

/// ln(x) within 1e-12 of itself or of one, x > 0 and normal.
double portable_log(double x);

}  // namespace mote::host
