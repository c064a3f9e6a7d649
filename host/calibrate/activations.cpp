// SPDX-License-Identifier: Apache-2.0
#include "calibrate/activations.hpp"

#include <algorithm>
#include <cmath>

#include "calibrate/working_image.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kBatch = 32;

/// Where a pass has the vector whole, and what stands beside it.
struct Place {
  Exchange stop;      // the phase after whose `compute` both vectors are there
  Exchange vector;    // that goes into the matrix
  Exchange residual;  // the residual stream that its product is added to
  bool is_normalized;
};

Place place_of(MatrixInput input) {
  switch (input) {
    case MatrixInput::attention_input:
      return {Exchange::heads, Exchange::attention_input, Exchange::attention_input, true};
    case MatrixInput::heads:
      return {Exchange::heads, Exchange::heads, Exchange::attention_input, false};
    case MatrixInput::ffn_input:
      return {Exchange::hidden, Exchange::ffn_input, Exchange::ffn_input, true};
    case MatrixInput::hidden:
      break;
  }
  return {Exchange::hidden, Exchange::hidden, Exchange::ffn_input, false};
}

std::uint32_t lanes_of(const ModelConfig& config, MatrixInput input) {
  if (input == MatrixInput::heads) return config.heads_dim();
  return input == MatrixInput::hidden ? config.hidden_dim : config.dim;
}

/// Brings a pass to where the vectors of `stop` in `layer` are computed.
void run_to(Transformer& model, Exchange stop, std::uint32_t layer) {
  while (model.phase().exchange != stop || model.phase().layer != layer) {
    model.compute();
    model.advance();
  }
  model.compute();
}

void run_to_end(Transformer& model) {
  while (model.phase().exchange != Exchange::candidates) {
    model.advance();
    if (model.phase().exchange != Exchange::candidates) model.compute();
  }
}

/// Positions of one exchange of a batch, row by row.
void read_positions(std::vector<double>& out, const Transformer& model, Exchange exchange,
                    std::uint32_t lanes, const Range& positions, bool is_normalized) {
  out.resize(std::size_t{positions.count} * lanes);
  for (std::uint32_t i = 0; i < positions.count; ++i) {
    const auto row = std::span(out).subspan(std::size_t{i} * lanes, lanes);
    read_lanes(row, model.vectors(exchange), positions.first + i);
    if (is_normalized) normalize(row, model.config());
  }
}

/// Calls visit(count) with both passes at `stop` of `layer`, for each batch of the text.
template <typename Visit>
void walk(Transformer& rounded, Transformer& exact, const CalibrationText& text, Exchange stop,
          std::uint32_t layer, bool with_logits, Visit visit) {
  for (const auto& passage : text.passages) {
    rounded.reset();
    exact.reset();
    for (std::size_t first = 0; first < passage.size();) {
      const std::size_t count =
          std::min<std::size_t>(rounded.run_config().batch, passage.size() - first);
      for (Transformer* model : {&rounded, &exact}) {
        model->begin(std::span(passage).subspan(first, count), with_logits);
        run_to(*model, stop, layer);
      }
      visit();
      run_to_end(rounded);
      run_to_end(exact);
      first += count;
    }
  }
}

void apply_gains(std::vector<double>& lanes, const GainsView& gains) {
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    lanes[i] *= std::ldexp(static_cast<double>(gains.values[i]), gains.exponent);
  }
}

}  // namespace

void read_lanes(std::span<double> out, const BlockVectors& vectors, std::uint32_t position) {
  const std::int8_t* values = vectors.row(position);
  const Scale16* scales = vectors.row_scales(position);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto scale = static_cast<double>(scales[i / vectors.block].value());
    out[i] = std::ldexp(values[i] * scale, -kScaleFractionBits);
  }
}

void normalize(std::span<double> lanes, const ModelConfig& config) {
  double sum = std::ldexp(static_cast<double>(config.norm_epsilon), -44);  // dim * epsilon
  for (const double lane : lanes) sum += lane * lane;
  const double factor = sum > 0 ? std::sqrt(config.dim / sum) : 0;
  for (double& lane : lanes) lane *= factor;
}

InputStatistics gather_inputs(const Image& rounded, const Image& exact, const CalibrationText& text,
                              std::uint32_t layer, MatrixInput input) {
  const Place place = place_of(input);
  const ModelConfig& config = exact.config();
  const std::uint32_t lanes = lanes_of(config, input);
  InputStatistics statistics(lanes, place.is_normalized ? 0 : config.dim);
  const auto context = static_cast<std::uint32_t>(text.longest);
  WorkingModel rounded_model(rounded, context, kBatch);
  WorkingModel exact_model(exact, context, kBatch);
  Transformer* models[] = {&rounded_model.transformer(), &exact_model.transformer()};
  std::vector<double> vectors[2];
  std::vector<double> residuals[2];
  walk(*models[0], *models[1], text, place.stop, layer, false, [&] {
    const Range positions = models[0]->exchange_positions(place.vector);
    for (int i = 0; i < 2; ++i) {
      read_positions(vectors[i], *models[i], place.vector, lanes, positions, place.is_normalized);
      if (place.is_normalized) continue;
      read_positions(residuals[i], *models[i], place.residual, config.dim, positions, false);
    }
    for (std::size_t i = 0; i < residuals[0].size(); ++i) residuals[1][i] -= residuals[0][i];
    statistics.add(vectors[0], vectors[1], residuals[1], positions.count);
  });
  return statistics;
}

InputStatistics gather_final_inputs(const Image& rounded, const Image& exact,
                                    const CalibrationText& text) {
  const ModelConfig& config = exact.config();
  InputStatistics statistics(config.dim, 0);
  const auto context = static_cast<std::uint32_t>(text.longest);
  WorkingModel rounded_model(rounded, context, 1);
  WorkingModel exact_model(exact, context, 1);
  Transformer* models[] = {&rounded_model.transformer(), &exact_model.transformer()};
  std::vector<double> vectors[2];
  walk(*models[0], *models[1], text, Exchange::final_input, 0, true, [&] {
    for (int i = 0; i < 2; ++i) {
      read_positions(vectors[i], *models[i], Exchange::final_input, config.dim, {0, 1}, true);
      apply_gains(vectors[i], exact.gains(SectionKind::final_norm));
    }
    statistics.add(vectors[0], vectors[1], {}, 1);
  });
  return statistics;
}

}  // namespace mote::host
