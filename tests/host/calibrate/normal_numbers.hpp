// SPDX-License-Identifier: Apache-2.0
// Numbers for tests of calibration, the same with every standard library.
#pragma once

#include <cstddef>
#include <vector>

#include "calibrate/dense_matrix.hpp"
#include "support/random.hpp"

namespace mote::test {

/// A sum of twelve uniform numbers: nearly normal, deviation 1.
inline double normal_number(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random.next() >> 11) * 0x1p-53;
  return sum;
}

inline std::vector<double> normal_numbers(Random& random, std::size_t count) {
  std::vector<double> numbers(count);
  for (double& number : numbers) number = normal_number(random);
  return numbers;
}

/// The mean of x x^T over vectors whose lanes share a common part, with `damping` on the diagonal.
inline host::DenseMatrix correlated_hessian(Random& random, std::size_t n, std::size_t vectors,
                                            double damping) {
  host::DenseMatrix hessian(n, n);
  for (std::size_t v = 0; v < vectors; ++v) {
    std::vector<double> x = normal_numbers(random, n);
    const double common = normal_number(random);
    for (std::size_t i = 0; i < n; ++i) x[i] = 0.6 * x[i] + common;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        hessian.at(i, j) += x[i] * x[j] / static_cast<double>(vectors);
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) hessian.at(i, i) += damping;
  return hessian;
}

}  // namespace mote::test
