// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "calibrate/packed_matrix.hpp"
#include "calibrate/portable_exp.hpp"
#include "calibrate/portable_log.hpp"
#include "support/double_model.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"
#include "support/random.hpp"

namespace mote::host {
namespace {

/// More than are computed side by side in attention.
constexpr std::size_t kPositions = 45;

/// Every kind of attention, grouped queries, heads and rows that fill no block.
test::ModelSpec every_kind(bool has_classifier) {
  test::ModelSpec spec = test::mixed_model(
      {test::causal(), test::window_of(4, 2), test::linear(test::kDecays), test::window_of(5, 0)});
  spec.shape.has_classifier = has_classifier;
  return spec;
}

/// The weights that the image stands for.
FloatModel load_rounded(const Image& image, std::vector<FloatBiases> biases = {}) {
  FloatModel model(image, std::move(biases));
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section section = image.section(i);
    if (section.format == WeightFormat::raw) continue;
    const auto bytes = image.section_bytes(section.kind, section.layer);
    const UnpackedMatrix numbers = unpack_matrix(
        {section.format, {{bytes.begin(), bytes.end()}, section.exponent, {}}}, section);
    std::vector<float> cells(numbers.values.size());
    for (std::size_t at = 0; at < cells.size(); ++at) {
      cells[at] = static_cast<float>(numbers.values[at]) *
                  numbers.unit(at / numbers.columns, at % numbers.columns);
    }
    model.set_matrix(model.index_of(section.kind, section.layer), cells);
  }
  return model;
}

std::vector<std::uint32_t> random_tokens(std::uint64_t seed, std::uint32_t vocab_size) {
  test::Random random(seed);
  std::vector<std::uint32_t> tokens(kPositions);
  for (std::uint32_t& token : tokens) token = static_cast<std::uint32_t>(random.below(vocab_size));
  return tokens;
}

TEST(FloatModel, logits_are_those_of_the_oracle) {
  for (const bool has_classifier : {false, true}) {
    for (const WeightFormat format : {WeightFormat::int8, WeightFormat::int4}) {
      test::ModelSpec spec = every_kind(has_classifier);
      spec.weights = format;
      const test::OpenImage image(spec);
      const FloatModel model = load_rounded(image.image());
      test::DoubleModel oracle(image.image());
      const auto tokens = random_tokens(15, spec.shape.vocab_size);
      FloatTrace trace;
      model.forward(trace, tokens);
      for (std::size_t t = 0; t < kPositions; ++t) {
        const std::vector<double> wanted = oracle.forward(tokens[t]);
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          // Sines are those of the engine, within 2^-15.
          ASSERT_NEAR(static_cast<double>(trace.logits[t * wanted.size() + i]), wanted[i], 2e-3)
              << "position " << t << ", token " << i;
        }
      }
    }
  }
}

/// A loss that is a fixed sum of logits, so that its gradient by them is known.
double loss_of(const FloatModel& model, const std::vector<std::uint32_t>& tokens,
               const std::vector<float>& shares) {
  FloatTrace trace;
  model.forward(trace, tokens);
  double loss = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    loss += static_cast<double>(shares[i]) * static_cast<double>(trace.logits[i]);
  }
  return loss;
}

void expect_gradient_of_differences(FloatModel& model, const std::vector<std::uint32_t>& tokens,
                                    const std::vector<float>& shares) {
  FloatTrace trace;
  model.forward(trace, tokens);
  std::vector<FloatMatrix> gradients = model.make_gradients();
  model.backward(gradients, trace, shares);
  for (std::size_t m = 0; m < model.matrix_count(); ++m) {
    const std::vector<float> cells = model.matrix(m).cells;
    if (cells.empty()) continue;
    // The cell that matters most, and the change of all cells against the gradient.
    const auto& gradient = gradients[m].cells;
    double square = 0;
    for (const float g : gradient) square += static_cast<double>(g) * static_cast<double>(g);
    ASSERT_GT(square, 0) << "matrix " << m;
    const auto step = static_cast<float>(2e-3 / std::sqrt(square));
    std::vector<float> moved = cells;
    for (std::size_t i = 0; i < cells.size(); ++i) moved[i] = cells[i] + step * gradient[i];
    model.set_matrix(m, moved);
    const double above = loss_of(model, tokens, shares);
    for (std::size_t i = 0; i < cells.size(); ++i) moved[i] = cells[i] - step * gradient[i];
    model.set_matrix(m, moved);
    const double below = loss_of(model, tokens, shares);
    model.set_matrix(m, cells);
    const double slope = (above - below) / (2 * static_cast<double>(step));
    EXPECT_NEAR(slope / square, 1, 0.02) << "matrix " << m;
  }
}

TEST(FloatModel, gradient_is_that_of_differences_for_every_kind_of_layer) {
  for (const bool has_classifier : {false, true}) {
    const test::ModelSpec spec = every_kind(has_classifier);
    const test::OpenImage image(spec);
    FloatModel model = load_rounded(image.image());
    test::Random random(16);
    std::vector<float> shares(kPositions * spec.shape.vocab_size);
    for (float& share : shares) share = static_cast<float>(random.between(-100, 100)) * 0.01F;
    expect_gradient_of_differences(model, random_tokens(17, spec.shape.vocab_size), shares);
  }
}

TEST(FloatModel, biases_move_the_logits_and_the_gradient_stays_right) {
  const test::ModelSpec spec = test::mixed_model({test::causal(), test::causal()});
  const test::OpenImage image(spec);
  std::vector<FloatBiases> biases(2);
  biases[1] = {std::vector<float>(64, 0.5F), std::vector<float>(32, -0.25F),
               std::vector<float>(32, 0.125F)};
  biases[0].output = std::vector<float>(spec.shape.dim, 0.375F);
  for (std::size_t i = 0; i < 64; i += 3) biases[1].query[i] = -1;
  FloatModel plain = load_rounded(image.image());
  FloatModel model = load_rounded(image.image(), biases);
  const auto tokens = random_tokens(18, spec.shape.vocab_size);
  std::vector<float> shares(kPositions * spec.shape.vocab_size);
  test::Random random(19);
  for (float& share : shares) share = static_cast<float>(random.between(-100, 100)) * 0.01F;
  EXPECT_GT(std::fabs(loss_of(model, tokens, shares) - loss_of(plain, tokens, shares)), 1e-3);
  expect_gradient_of_differences(model, tokens, shares);
}

TEST(PortableMath, exponential_and_logarithm) {
  for (double x = -80; x < 80; x += 0.37) {
    const auto argument = static_cast<float>(x);
    EXPECT_NEAR(
        static_cast<double>(portable_exp(argument)) / std::exp(static_cast<double>(argument)), 1,
        5e-7)
        << x;
  }
  for (double x = 1e-9; x < 1e9; x *= 1.7) {
    EXPECT_NEAR(portable_log(x), std::log(x), 1e-11 * std::max(1.0, std::fabs(std::log(x)))) << x;
  }
}

}  // namespace
}  // namespace mote::host
