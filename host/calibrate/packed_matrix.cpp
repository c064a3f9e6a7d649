// SPDX-License-Identifier: Apache-2.0
#include "calibrate/packed_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "convert/matrix_section.hpp"
#include "convert/quantize.hpp"

namespace mote::host {
namespace {

Scale16 row_scale(const std::uint8_t* bytes, std::size_t row) {
  return Scale16{static_cast<std::uint16_t>(bytes[2 * row] | bytes[2 * row + 1] << 8)};
}

/// The value of one lane of a row's bytes.
std::int8_t read_value(const std::uint8_t* row, std::size_t lane, std::uint32_t block,
                       WeightFormat format) {
  if (format != WeightFormat::int4) {
    return static_cast<std::int8_t>(row[lane] ^
                                    stored_flip(format, static_cast<std::uint32_t>(lane)));
  }
  const std::size_t half = block / 2;
  const std::size_t within = lane % block;
  const std::uint8_t pair = row[lane / block * half + within % half];
  return static_cast<std::int8_t>((within < half ? pair & 15 : pair >> 4) + kInt4Low);
}

}  // namespace

UnpackedMatrix unpack_matrix(const RoundedMatrix& matrix, const Section& section) {
  UnpackedMatrix out;
  out.rows = section.rows;
  out.columns = section.columns;
  out.block = section.block;
  out.format = matrix.format;
  const std::uint32_t blocks = out.blocks();
  const MatrixLayout layout = matrix_layout(out.rows, out.columns, out.block, matrix.format);
  const std::uint8_t* bytes = matrix.encoded.bytes.data();
  const bool is_int4 = matrix.format == WeightFormat::int4;
  const std::size_t row_bytes = std::size_t{blocks} * out.block / (is_int4 ? 2 : 1);
  for (std::size_t row = 0; row < out.rows; ++row) {
    const auto scale = static_cast<double>(row_scale(bytes, row).value());
    out.row_units.push_back(static_cast<float>(std::ldexp(scale, matrix.encoded.exponent)));
    for (std::size_t b = 0; b < blocks; ++b) {
      const int factor = is_int4 ? bytes[layout.factors_offset + row * blocks + b] : 1;
      out.units.push_back(static_cast<float>(std::ldexp(factor * scale, matrix.encoded.exponent)));
    }
    const std::uint8_t* packed = bytes + layout.weights_offset + row * row_bytes;
    for (std::size_t lane = 0; lane < out.columns; ++lane) {
      out.values.push_back(read_value(packed, lane, out.block, matrix.format));
    }
  }
  return out;
}

void fill_cells(std::vector<float>& cells, const UnpackedMatrix& matrix) {
  cells.resize(matrix.values.size());
  std::size_t at = 0;
  for (std::size_t row = 0; row < matrix.rows; ++row) {
    for (std::size_t column = 0; column < matrix.columns; ++column, ++at) {
      cells[at] = static_cast<float>(matrix.values[at]) * matrix.unit(row, column);
    }
  }
}

void store_numbers(RoundedMatrix& matrix, const UnpackedMatrix& unpacked) {
  const MatrixLayout layout =
      matrix_layout(unpacked.rows, unpacked.columns, unpacked.block, unpacked.format);
  const bool is_int4 = unpacked.format == WeightFormat::int4;
  const std::size_t row_bytes = std::size_t{unpacked.blocks()} * unpacked.block / (is_int4 ? 2 : 1);
  const auto bytes = std::span(matrix.encoded.bytes).subspan(layout.weights_offset);
  for (std::size_t row = 0; row < unpacked.rows; ++row) {
    pack_row(bytes.subspan(row * row_bytes, row_bytes),
             std::span(unpacked.values).subspan(row * unpacked.columns, unpacked.columns),
             unpacked.format, unpacked.block);
    if (!is_int4 || unpacked.row_units[row] == 0) continue;
    for (std::size_t b = 0; b < unpacked.blocks(); ++b) {
      const std::size_t at = row * unpacked.blocks() + b;
      matrix.encoded.bytes[layout.factors_offset + at] =
          static_cast<std::uint8_t>(unpacked.units[at] / unpacked.row_units[row] + 0.5F);
    }
  }
}

}  // namespace mote::host
