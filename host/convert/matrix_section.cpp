// SPDX-License-Identifier: Apache-2.0
#include "convert/matrix_section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "support/error.hpp"
#include "support/little_endian.hpp"

namespace mote::host {
namespace {

constexpr int kGainTopBit = 14;
constexpr double kGainTop = 32767;

/// Fills `out` and refuses what no number of the image can stand for.
void read_finite_row(std::vector<float>& out, const TensorSource& source, std::uint32_t row) {
  source.read_row(out, row);
  const auto fault =
      std::find_if(out.begin(), out.end(), [](float value) { return !std::isfinite(value); });
  if (fault == out.end()) return;
  throw Error(fmt::format("{}: row {}, column {} is {}, must be a finite number", source.label, row,
                          fault - out.begin(), *fault));
}

/// Puts the values of one row into `out`, padded to whole blocks.
void pack_int8(std::span<std::uint8_t> out, std::span<const std::int8_t> values,
               WeightFormat format) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int8_t value = i < values.size() ? values[i] : std::int8_t{0};
    out[i] = static_cast<std::uint8_t>(value) ^ stored_flip(format, static_cast<std::uint32_t>(i));
  }
}

/// As above with two lanes a byte: those half a block apart, so that a kernel unpacks whole
/// vectors.
void pack_int4(std::span<std::uint8_t> out, std::span<const std::int8_t> values,
               std::uint32_t block) {
  const auto stored = [&](std::size_t lane) {
    const int value = lane < values.size() ? values[lane] : 0;
    return static_cast<unsigned>(value - kInt4Low);
  };
  const std::size_t half = block / 2;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t lane = i / half * block + i % half;
    out[i] = static_cast<std::uint8_t>(stored(lane) | stored(lane + half) << 4);
  }
}

/// The exponent that brings `largest` to [2^14, 2^15) after rounding.
int choose_gain_exponent(double largest) {
  if (largest == 0) return 0;
  const int exponent = std::ilogb(largest) - kGainTopBit;
  const bool rounds_past_top = std::floor(std::ldexp(largest, -exponent) + 0.5) > kGainTop;
  return std::clamp(exponent + (rounds_past_top ? 1 : 0), -128, 127);
}

}  // namespace

void RoundingError::add(double weight, double rounded) {
  const double error = std::fabs(weight - rounded);
  squared_error += error * error;
  squared_weights += weight * weight;
  largest_error = std::max(largest_error, error);
}

void RoundingError::add(const RoundingError& other) {
  squared_error += other.squared_error;
  squared_weights += other.squared_weights;
  largest_error = std::max(largest_error, other.largest_error);
}

double RoundingError::relative_rms() const {
  return squared_weights > 0 ? std::sqrt(squared_error / squared_weights) : 0;
}

float largest_magnitude(const TensorSource& source) {
  std::vector<float> weights(source.columns);
  float largest = 0;
  for (std::uint32_t row = 0; row < source.rows; ++row) {
    read_finite_row(weights, source, row);
    for (const float weight : weights) largest = std::max(largest, std::fabs(weight));
  }
  return largest;
}

void pack_row(std::span<std::uint8_t> out, std::span<const std::int8_t> values, WeightFormat format,
              std::uint32_t block) {
  return format == WeightFormat::int4 ? pack_int4(out, values, block)
                                      : pack_int8(out, values, format);
}

MatrixPacker::MatrixPacker(std::uint32_t rows, std::uint32_t columns, WeightFormat format,
                           std::uint32_t block, int exponent)
    : layout_(matrix_layout(rows, columns, block, format)),
      blocks_((columns + block - 1) / block),
      block_(block),
      format_(format),
      exponent_(exponent) {
  result_.bytes.resize(layout_.bytes);
  scales_.reserve(rows);
}

void MatrixPacker::add(const QuantizedRow& row, std::span<const float> weights) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    result_.error.add(weights[i], dequantize(row, i, block_, exponent_));
  }
  store(row);
  scales_.push_back(row.scale);
}

EncodedTensor MatrixPacker::finish() {
  result_.exponent = normalize_scales(scales_, exponent_);
  for (std::size_t row = 0; row < scales_.size(); ++row) {
    store_u16(result_.bytes.data() + 2 * row, scales_[row].bits);
  }
  return std::move(result_);
}

void MatrixPacker::store(const QuantizedRow& row) {
  const std::size_t index = scales_.size();
  const std::span bytes(result_.bytes);
  const std::size_t row_bytes = std::size_t{blocks_} * block_;
  if (format_ != WeightFormat::int4) {
    pack_row(bytes.subspan(layout_.weights_offset + index * row_bytes, row_bytes), row.values,
             format_, block_);
    return;
  }
  std::copy(row.factors.begin(), row.factors.end(),
            bytes.subspan(layout_.factors_offset + index * blocks_).begin());
  pack_row(bytes.subspan(layout_.weights_offset + index * row_bytes / 2, row_bytes / 2), row.values,
           format_, block_);
}

EncodedTensor encode_matrix(const TensorSource& source, WeightFormat format, std::uint32_t block,
                            const std::function<void()>& row_done) {
  const int exponent = choose_scale_exponent(largest_magnitude(source), format);
  MatrixPacker packer(source.rows, source.columns, format, block, exponent);
  std::vector<float> weights(source.columns);
  QuantizedRow rounded;
  for (std::uint32_t row = 0; row < source.rows; ++row) {
    source.read_row(weights, row);
    if (format == WeightFormat::int4) {
      quantize_row_int4(rounded, weights, block, exponent);
    } else {
      quantize_row_int8(rounded, weights, exponent);
    }
    packer.add(rounded, weights);
    if (row_done) row_done();
  }
  return packer.finish();
}

EncodedTensor encode_gains(const TensorSource& source) {
  std::vector<float> gains(source.columns);
  read_finite_row(gains, source, 0);
  double largest = 0;
  for (const float gain : gains) largest = std::max(largest, std::fabs(static_cast<double>(gain)));
  EncodedTensor result;
  result.exponent = choose_gain_exponent(largest);
  result.bytes.resize(2 * gains.size());
  for (std::size_t i = 0; i < gains.size(); ++i) {
    const double value = std::round(std::ldexp(static_cast<double>(gains[i]), -result.exponent));
    store_u16(result.bytes.data() + 2 * i,
              static_cast<std::uint16_t>(static_cast<std::int16_t>(value)));
    result.error.add(gains[i], std::ldexp(value, result.exponent));
  }
  return result;
}

EncodedTensor encode_biases(const TensorSource& source, int fraction_bits) {
  std::vector<float> biases(source.columns);
  read_finite_row(biases, source, 0);
  EncodedTensor result;
  result.bytes.resize(sizeof(std::int32_t) * biases.size());
  for (std::size_t i = 0; i < biases.size(); ++i) {
    const double value = std::floor(std::ldexp(double{biases[i]}, fraction_bits) + 0.5);
    if (value < -0x1p31 || value >= 0x1p31) {
      const double limit = std::ldexp(1.0, 31 - fraction_bits);
      throw Error(fmt::format("{}: value {} is {}, must be at least {} and below {}", source.label,
                              i, biases[i], -limit, limit));
    }
    store_u32(result.bytes.data() + sizeof(std::int32_t) * i,
              static_cast<std::uint32_t>(static_cast<std::int32_t>(value)));
    result.error.add(biases[i], std::ldexp(value, -fraction_bits));
  }
  return result;
}

}  // namespace mote::host
