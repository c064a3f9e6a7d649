// SPDX-License-Identifier: Apache-2.0
// Attention outputs of four integer softmax schemes against double, as a Markdown table: why Mote's
// weights are what they are (docs/ATTENTION.md). The rejected schemes exist here only.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "attention/attend.hpp"
#include "mote/attention.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kHeadSize = 64;
constexpr int kDraws = 32;

/// One head's scores and values. The key of a position is the query times its sign, and its scale
/// holds the magnitude of the score, so that every scheme is given exactly the same scores.
struct Draw {
  std::vector<std::int8_t> query;
  std::vector<std::int8_t> keys;    // (count, kHeadSize)
  std::vector<std::int8_t> values;  // (count, kHeadSize), all of scale 1
  std::vector<Scale16> key_scales;
  std::vector<double> logits;

  std::size_t count() const { return logits.size(); }
};

/// Standard normal, and the same with every standard library (Box and Muller, 1958).
double draw_normal(std::mt19937_64& random) {
  const auto unit = [&] { return std::ldexp(static_cast<double>((random() >> 11) + 1), -53); };
  const double radius = std::sqrt(-2 * std::log(unit()));
  return radius * std::cos(6.283185307179586 * unit());
}

Draw make_draw(std::mt19937_64& random, std::size_t count, double deviation) {
  Draw draw;
  draw.query.assign(kHeadSize, 127);
  const double unit = 127.0 * 127 * kHeadSize / std::sqrt(kHeadSize);
  for (std::size_t t = 0; t < count; ++t) {
    const double wanted = deviation * draw_normal(random);
    const double scale = std::ldexp(std::abs(wanted) / unit, 40);
    draw.key_scales.push_back(
        encode_scale_up(static_cast<std::uint64_t>(scale), kScaleFractionBits - 40));
    draw.keys.insert(draw.keys.end(), kHeadSize, wanted < 0 ? -127 : 127);
    const double real =
        std::ldexp(static_cast<double>(draw.key_scales.back().value()), -kScaleFractionBits);
    draw.logits.push_back(std::copysign(real * unit, wanted));
    for (std::uint32_t i = 0; i < kHeadSize; ++i) {
      draw.values.push_back(static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127));
    }
  }
  return draw;
}

std::vector<double> normalized(std::vector<double> weights) {
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (double& weight : weights) weight /= sum;
  return weights;
}

/// weight(logit - largest logit) of every position.
template <typename Weight>
std::vector<double> weigh(const Draw& draw, Weight weight) {
  const double largest = *std::ranges::max_element(draw.logits);
  std::vector<double> weights;
  for (const double logit : draw.logits) weights.push_back(weight(logit - largest));
  return weights;
}

std::vector<double> exact_probabilities(const Draw& draw) {
  return normalized(weigh(draw, [](double x) { return std::exp(x); }));
}

/// Probabilities in units of 1/256, 255 at most, as softmax kernels for
/// int8 tensors of a fixed output scale give them. They are not divided by their sum.
std::vector<double> int8_probabilities(const Draw& draw) {
  std::vector<double> probabilities = exact_probabilities(draw);
  for (double& p : probabilities) p = std::min(std::floor(256 * p + 0.5), 255.0) / 256;
  return probabilities;
}

/// exp(x) taken for 1 + x/2, in Q8.
std::vector<double> straight_line(const Draw& draw) {
  return normalized(weigh(
      draw, [](double x) { return std::max(0.0, 256 + std::floor(std::floor(256 * x) / 2)); }));
}

/// exp(x) taken for 2^floor(x log2 e), from 2^15 down.
std::vector<double> shift_only(const Draw& draw) {
  return normalized(weigh(
      draw, [](double x) { return std::floor(std::exp2(15 + std::floor(x / std::log(2.0)))); }));
}

std::vector<double> weighted_values(const Draw& draw, const std::vector<double>& weights) {
  std::vector<double> out(kHeadSize);
  for (std::size_t t = 0; t < draw.count(); ++t) {
    for (std::uint32_t i = 0; i < kHeadSize; ++i) {
      out[i] += weights[t] * draw.values[t * kHeadSize + i];
    }
  }
  return out;
}

double error_against(const std::vector<double>& exact, const std::vector<double>& out) {
  double error = 0;
  double size = 0;
  for (std::uint32_t i = 0; i < kHeadSize; ++i) {
    error += (out[i] - exact[i]) * (out[i] - exact[i]);
    size += exact[i] * exact[i];
  }
  return std::sqrt(error / size);
}

struct Result {
  double error = 0;  // of the output, relative
  double lost = 0;   // exact probability of the positions that have no weight

  void add(const Result& other) {
    error += other.error / kDraws;
    lost += other.lost / kDraws;
  }
};

double mass_lost(const Draw& draw, const std::vector<double>& weights) {
  const std::vector<double> exact = exact_probabilities(draw);
  double lost = 0;
  for (std::size_t t = 0; t < draw.count(); ++t) lost += weights[t] == 0 ? exact[t] : 0;
  return lost;
}

/// Mote's own arithmetic: the product's lines, not a model of them.
Result measure_ours(const Draw& draw, const std::vector<double>& exact) {
  const std::vector<Scale16> ones(draw.count(), Scale16{1});
  const KvSegment segment = {draw.keys.data(), draw.values.data(), draw.key_scales.data(),
                             ones.data(), static_cast<std::uint32_t>(draw.count())};
  std::vector<std::int64_t> values(kHeadSize);
  std::vector<std::uint32_t> scratch(draw.count());
  WideVector wide = {values, {}};
  // A query scale of 1: 2^28 units.
  const Scale16 one = encode_scale_up(1, kScaleFractionBits);
  attend_segments(wide, scratch, {&segment, 1}, QuantizedVector{draw.query.data(), one},
                  attention_scale(kHeadSize));
  std::vector<double> out;
  out.reserve(kHeadSize);
  for (const std::int64_t lane : values) {
    out.push_back(std::ldexp(static_cast<double>(lane) * wide.unit.mantissa,
                             wide.unit.exponent + kScaleFractionBits));
  }
  const std::vector<double> weights(scratch.begin(), scratch.end());
  return {error_against(exact, out), mass_lost(draw, weights)};
}

using Scheme = std::vector<double> (*)(const Draw&);

constexpr Scheme kRejected[] = {int8_probabilities, straight_line, shift_only};
constexpr std::size_t kSchemes = 1 + std::size(kRejected);

/// Two digits of a percentage, without an exponent.
void print_percent(double value) {
  const double power = value > 0 ? std::floor(std::log10(100 * value)) : 1;
  std::printf("%.*f", static_cast<int>(std::clamp(1 - power, 0.0, 6.0)), 100 * value);
}

void print_row(double deviation, std::size_t count) {
  std::mt19937_64 random(1);
  Result results[kSchemes];
  for (int i = 0; i < kDraws; ++i) {
    const Draw draw = make_draw(random, count, deviation);
    const std::vector<double> exact = weighted_values(draw, exact_probabilities(draw));
    results[0].add(measure_ours(draw, exact));
    for (std::size_t s = 1; s < kSchemes; ++s) {
      const std::vector<double> weights = kRejected[s - 1](draw);
      results[s].add(
          {error_against(exact, weighted_values(draw, weights)), mass_lost(draw, weights)});
    }
  }
  std::printf("| %g | %zu |", deviation, count);
  for (const Result& result : results) {
    std::printf(" ");
    print_percent(result.error);
    std::printf(" / ");
    print_percent(result.lost);
    std::printf(" |");
  }
  std::printf("\n");
}

}  // namespace
}  // namespace mote

int main() {
  std::printf(
      "| deviation | positions | Mote | int8 probabilities, 1/256 | straight line | powers of two "
      "|\n|---|---|---|---|---|---|\n");
  for (const double deviation : {1.0, 2.0, 4.0}) {
    for (const std::size_t count : {64U, 256U, 1024U, 4096U}) mote::print_row(deviation, count);
  }
  return 0;
}
