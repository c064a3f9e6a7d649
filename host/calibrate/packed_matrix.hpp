// SPDX-License-Identifier: Apache-2.0
// The integers and scales of a matrix section, taken apart and put back.
#pragma once

#include <cstdint>
#include <vector>

#include "convert/convert.hpp"

namespace mote::host {

/// A lane's real weight is values[row][column] * units[row][column / block].
struct UnpackedMatrix {
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::uint32_t block = 0;
  WeightFormat format = WeightFormat::int4;
  std::vector<std::int8_t> values;  // (rows, columns)
  std::vector<float> units;         // (rows, blocks): row unit times block factor
  std::vector<float> row_units;     // (rows)

  std::uint32_t blocks() const { return (columns + block - 1) / block; }
  std::size_t unit_index(std::size_t row, std::size_t column) const {
    return row * blocks() + column / block;
  }
  float unit(std::size_t row, std::size_t column) const { return units[unit_index(row, column)]; }
};

UnpackedMatrix unpack_matrix(const RoundedMatrix& matrix, const Section& section);

/// The real weights. // cells (rows, columns)
void fill_cells(std::vector<float>& cells, const UnpackedMatrix& matrix);

/// Replaces the values and block factors of `matrix` by those of `unpacked`; row scales stay.
void store_numbers(RoundedMatrix& matrix, const UnpackedMatrix& unpacked);

}  // namespace mote::host
