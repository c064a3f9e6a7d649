// SPDX-License-Identifier: Apache-2.0
// A dense matrix of doubles, as small as calibration needs it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mote::host {

/// Cells in rows, one after another.
class DenseMatrix {
 public:
  DenseMatrix() = default;
  DenseMatrix(std::size_t rows, std::size_t columns)
      : rows_(rows), columns_(columns), cells_(rows * columns) {}

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  double& at(std::size_t row, std::size_t column) { return cells_[row * columns_ + column]; }
  double at(std::size_t row, std::size_t column) const { return cells_[row * columns_ + column]; }
  std::span<double> row(std::size_t index) {
    return std::span(cells_).subspan(index * columns_, columns_);
  }
  std::span<const double> row(std::size_t index) const {
    return std::span(cells_).subspan(index * columns_, columns_);
  }

 private:
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::vector<double> cells_;
};

}  // namespace mote::host
