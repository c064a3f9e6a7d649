// SPDX-License-Identifier: Apache-2.0
#include "convert/quantize.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace mote::host {
namespace {

/// The scale of an int8 row puts its largest weight at a value between these two. The upper one is
/// the classic choice; which one rounds the other weights best is chance, so all are tried: with
/// rows of 64 to 128 weights the best has a twentieth less rms error than the classic one.
constexpr int kInt8FirstTop = 112;
/// Least squares may lift a block's scale above the one that just covers its largest weight.
constexpr double kInt4Headroom = 1.5;
constexpr int kTopBit = 41;  // the top octave of Scale16 is [2^41, 2^42)

int round_clamped(double value, int low, int high) {
  const double limited = std::clamp(value, static_cast<double>(low), static_cast<double>(high));
  return static_cast<int>(limited < 0 ? limited - 0.5 : limited + 0.5);
}

double squared_error(std::span<const float> weights, double unit, int low, int high) {
  const double inverse = 1 / unit;
  double sum = 0;
  for (const float weight : weights) {
    const double error = weight - unit * round_clamped(weight * inverse, low, high);
    sum += error * error;
  }
  return sum;
}

double sum_of_squares(std::span<const float> weights) {
  double sum = 0;
  for (const float weight : weights) sum += static_cast<double>(weight) * weight;
  return sum;
}

double largest_magnitude(std::span<const float> weights) {
  float largest = 0;
  for (const float weight : weights) largest = std::max(largest, std::fabs(weight));
  return largest;
}

/// Numerator and denominator of the scale that fits `weights` best where they round as they do for
/// `unit`.
struct Fit {
  double product = 0;  // sum of weight * value
  double square = 0;   // sum of value^2

  double gain() const { return square > 0 ? product * product / square : 0; }
  double scale() const { return square > 0 ? product / square : 0; }
};

Fit fit_block(std::span<const float> weights, double unit) {
  Fit fit;
  for (const float weight : weights) {
    const double value = round_clamped(weight / unit, kInt4Low, kInt4Top);
    fit.product += weight * value;
    fit.square += value * value;
  }
  return fit;
}

/// The scale of least squared error for one int4 block: the scale that just covers the block is
/// shrunk in steps (which clips the ends and rounds the rest finer), each with its least-squares
/// scale; covering ranges differ by sign as -8 has no positive partner.
double best_block_scale(std::span<const float> weights) {
  const auto [lowest, highest] = std::minmax_element(weights.begin(), weights.end());
  const double covering = std::max(
      {0.0, static_cast<double>(*highest) / kInt4Top, static_cast<double>(*lowest) / kInt4Low});
  Fit best;
  if (covering == 0) return 0;
  for (int step = -4; step <= 16; ++step) {
    const Fit fit = fit_block(weights, covering * (1 - 0.025 * step));
    if (fit.gain() > best.gain()) best = fit;
  }
  return std::min(best.scale(), covering * kInt4Headroom);
}

/// The factor near block_scale / row_scale with the least error, now that the row scale is known.
int best_factor(std::span<const float> weights, double block_scale, double row_scale) {
  const int middle = round_clamped(block_scale / row_scale, 0, kFactorTop);
  int best = 0;
  double best_error = sum_of_squares(weights);
  for (int factor = std::max(middle - 2, 1); factor <= std::min(middle + 2, kFactorTop); ++factor) {
    const double error = squared_error(weights, factor * row_scale, kInt4Low, kInt4Top);
    if (error < best_error) {
      best = factor;
      best_error = error;
    }
  }
  return best;
}

void round_weights(std::span<std::int8_t> values, std::span<const float> weights, double unit,
                   int low, int high) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const int value = unit > 0 ? round_clamped(weights[i] / unit, low, high) : 0;
    values[i] = static_cast<std::int8_t>(value);
  }
}

double real_scale(Scale16 scale, int exponent) {
  return std::ldexp(static_cast<double>(scale.value()), exponent);
}

}  // namespace

Scale16 nearest_scale(double value) {
  int width = 0;
  std::frexp(value, &width);  // value < 2^width
  const int shift = std::max(width - 12, 0);
  const double mantissa = std::floor(std::ldexp(value, -shift) + 0.5);
  return encode_scale_up(static_cast<std::uint64_t>(mantissa), shift);
}

int choose_scale_exponent(double largest_weight, WeightFormat format) {
  if (largest_weight == 0) return 0;
  const double largest_scale = format == WeightFormat::int4
                                   ? largest_weight * kInt4Headroom / (kInt4Top * kFactorTop)
                                   : largest_weight / kInt8FirstTop;
  return std::clamp(std::ilogb(largest_scale) - kTopBit, -128, 127);
}

int normalize_scales(std::span<Scale16> scales, int exponent) {
  std::uint64_t largest = 0;
  for (const Scale16 scale : scales) largest = std::max(largest, scale.value());
  if (largest == 0) return 0;
  const int shift =
      std::clamp(kTopBit + 1 - static_cast<int>(std::bit_width(largest)), 0, exponent + 128);
  for (Scale16& scale : scales) scale = encode_scale_up(scale.value(), shift);
  return exponent - shift;
}

void quantize_row_int8(QuantizedRow& out, std::span<const float> weights, int exponent) {
  const double largest = largest_magnitude(weights);
  double best_error = std::numeric_limits<double>::infinity();
  out.scale = Scale16{0};
  for (int top = kInt8Top; top >= kInt8FirstTop; --top) {
    const Scale16 scale = nearest_scale(std::ldexp(largest / top, -exponent));
    if (scale.value() == 0) continue;
    const double error = squared_error(weights, real_scale(scale, exponent), -kInt8Top, kInt8Top);
    if (error < best_error) {
      best_error = error;
      out.scale = scale;
    }
  }
  out.factors.clear();
  out.values.resize(weights.size());
  round_weights(out.values, weights, real_scale(out.scale, exponent), -kInt8Top, kInt8Top);
}

void quantize_row_int4(QuantizedRow& out, std::span<const float> weights, std::uint32_t block,
                       int exponent) {
  const std::size_t blocks = (weights.size() + block - 1) / block;
  const auto block_of = [&](std::size_t b) {
    return weights.subspan(b * block, std::min<std::size_t>(block, weights.size() - b * block));
  };
  std::vector<double> block_scales(blocks);
  for (std::size_t b = 0; b < blocks; ++b) block_scales[b] = best_block_scale(block_of(b));
  const double widest = *std::max_element(block_scales.begin(), block_scales.end());
  out.scale = nearest_scale(std::ldexp(widest / kFactorTop, -exponent));
  const double unit = real_scale(out.scale, exponent);
  out.values.resize(weights.size());
  out.factors.resize(blocks);
  for (std::size_t b = 0; b < blocks; ++b) {
    const int factor = unit > 0 ? best_factor(block_of(b), block_scales[b], unit) : 0;
    out.factors[b] = static_cast<std::uint8_t>(factor);
    round_weights(std::span(out.values).subspan(b * block), block_of(b), factor * unit, kInt4Low,
                  kInt4Top);
  }
}

double dequantize(const QuantizedRow& row, std::size_t index, std::uint32_t block, int exponent) {
  const int factor = row.factors.empty() ? 1 : row.factors[index / block];
  return row.values[index] * factor * real_scale(row.scale, exponent);
}

}  // namespace mote::host
