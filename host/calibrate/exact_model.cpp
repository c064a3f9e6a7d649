// SPDX-License-Identifier: Apache-2.0
#include "calibrate/exact_model.hpp"

#include <utility>

#include "convert/checkpoint_shape.hpp"
#include "convert/tensor_source.hpp"

namespace mote::host {
namespace {

std::vector<float> read_bias(const Checkpoint& checkpoint, TensorName tensor, std::uint32_t layer) {
  std::vector<float> bias(tensor_extent(checkpoint.shape(), tensor).columns);
  checkpoint.read_row(bias, tensor, layer, 0);
  return bias;
}

std::vector<FloatBiases> read_biases(const Checkpoint& checkpoint) {
  std::vector<FloatBiases> biases(checkpoint.shape().n_layers);
  for (std::uint32_t layer = 0; layer < biases.size(); ++layer) {
    if (checkpoint.shape().has_attention_bias) {
      biases[layer].query = read_bias(checkpoint, TensorName::bq, layer);
      biases[layer].key = read_bias(checkpoint, TensorName::bk, layer);
      biases[layer].value = read_bias(checkpoint, TensorName::bv, layer);
    }
    if (checkpoint.shape().has_output_bias) {
      biases[layer].output = read_bias(checkpoint, TensorName::bo, layer);
    }
  }
  return biases;
}

}  // namespace

FloatModel load_exact_model(const Checkpoint& checkpoint, const Image& reference,
                            const std::vector<PlannedSection>& plan) {
  FloatModel model(reference, read_biases(checkpoint));
  std::vector<float> cells;
  for (const PlannedSection& planned : plan) {
    const Section& section = planned.section;
    if (section.format == WeightFormat::raw) continue;
    const TensorSource source = make_source(checkpoint, planned);
    cells.resize(std::size_t{source.rows} * source.columns);
    for (std::uint32_t row = 0; row < source.rows; ++row) {
      source.read_row(std::span(cells).subspan(std::size_t{row} * source.columns, source.columns),
                      row);
    }
    model.set_matrix(model.index_of(section.kind, section.layer), cells);
    checkpoint.release_pages();
  }
  return model;
}

}  // namespace mote::host
