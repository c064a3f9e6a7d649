// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_math.hpp"

#include <cmath>

namespace mote::host {
namespace {

/// Terms that share one walk over a row of the result.
constexpr std::size_t kTerms = 4;

/// out[j] += a0 b0[j] + ... + a3 b3[j]
void add_four(float* __restrict out, const float* a, std::size_t a_stride,
              const float* __restrict b, std::size_t columns) {
  const float a0 = a[0];
  const float a1 = a[a_stride];
  const float a2 = a[2 * a_stride];
  const float a3 = a[3 * a_stride];
  const float* b1 = b + columns;
  const float* b2 = b1 + columns;
  const float* b3 = b2 + columns;
  for (std::size_t j = 0; j < columns; ++j) {
    out[j] += (a0 * b[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j]);
  }
}

void add_one(float* __restrict out, float a, const float* __restrict b, std::size_t columns) {
  for (std::size_t j = 0; j < columns; ++j) out[j] += a * b[j];
}

}  // namespace

void add_product(float* out, const float* a, const float* b, std::size_t rows, std::size_t inner,
                 std::size_t columns) {
  for (std::size_t t = 0; t < rows; ++t) {
    std::size_t i = 0;
    for (; i + kTerms <= inner; i += kTerms) {
      add_four(out + t * columns, a + t * inner + i, 1, b + i * columns, columns);
    }
    for (; i < inner; ++i) {
      add_one(out + t * columns, a[t * inner + i], b + i * columns, columns);
    }
  }
}

void add_outer_products(float* out, const float* a, const float* b, std::size_t count,
                        std::size_t rows, std::size_t columns) {
  std::size_t t = 0;
  for (; t + kTerms <= count; t += kTerms) {
    for (std::size_t i = 0; i < rows; ++i) {
      add_four(out + i * columns, a + t * rows + i, rows, b + t * columns, columns);
    }
  }
  for (; t < count; ++t) {
    for (std::size_t i = 0; i < rows; ++i) {
      add_one(out + i * columns, a[t * rows + i], b + t * columns, columns);
    }
  }
}

double portable_log(double x) {
  int power = 0;
  double part = std::frexp(x, &power);  // 0.5 to 1
  if (part < 0.70710678118654752) {
    part *= 2;
    --power;
  }
  // ln(part) = 2 atanh(y), |y| <= 0.172
  const double y = (part - 1) / (part + 1);
  double sum = 0;
  for (int n = 15; n >= 1; n -= 2) sum = sum * (y * y) + 1.0 / n;
  return 2 * y * sum + power * 0.69314718055994531;
}

}  // namespace mote::host
