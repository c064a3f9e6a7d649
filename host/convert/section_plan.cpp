// SPDX-License-Identifier: Apache-2.0
#include "convert/section_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "convert/checkpoint_shape.hpp"
#include "convert/model_sections.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

struct TensorSection {
  SectionKind kind{};
  TensorName tensor{};
};

// In the order of the section table.
constexpr TensorSection kModelTensors[] = {
    {SectionKind::token_embedding, TensorName::token_embedding},
    {SectionKind::classifier, TensorName::classifier},
    {SectionKind::final_norm, TensorName::final_norm},
};
constexpr TensorSection kLayerTensors[] = {
    {SectionKind::wq, TensorName::wq},         {SectionKind::wk, TensorName::wk},
    {SectionKind::wv, TensorName::wv},         {SectionKind::wo, TensorName::wo},
    {SectionKind::w_gate, TensorName::w_gate}, {SectionKind::w_up, TensorName::w_up},
    {SectionKind::w_down, TensorName::w_down},
};

constexpr TensorSection kLayerBiases[] = {{SectionKind::bq, TensorName::bq},
                                          {SectionKind::bk, TensorName::bk},
                                          {SectionKind::bv, TensorName::bv},
                                          {SectionKind::bo, TensorName::bo}};

/// Lists the sections with their sizes before any matrix is read.
class Planner {
 public:
  Planner(const Checkpoint& checkpoint, const ModelConfig& config, const ConvertOptions& options)
      : checkpoint_(checkpoint), shape_(checkpoint.shape()), config_(config), options_(options) {}

  void add_bytes(SectionKind kind, std::vector<std::uint8_t> bytes, std::uint32_t columns = 0,
                 std::uint32_t layer = 0) {
    PlannedSection planned;
    planned.section.kind = kind;
    planned.section.layer = static_cast<std::uint16_t>(layer);
    planned.section.columns = columns;
    set_bytes(planned, bytes.size());
    planned.bytes = std::move(bytes);
    sections_.push_back(std::move(planned));
  }

  void add_tensors() {
    for (const TensorSection& entry : kModelTensors) {
      if (entry.tensor == TensorName::classifier && !shape_.has_classifier) continue;
      add_tensor(entry, 0);
    }
    for (std::uint32_t layer = 0; layer < shape_.n_layers; ++layer) {
      for (const TensorSection& entry : kLayerTensors) add_tensor(entry, layer);
      add_attention(layer);
      for (const TensorSection& entry : kLayerBiases) {
        if (has_biases(entry.tensor, layer)) add_tensor(entry, layer);
      }
    }
  }

  std::vector<PlannedSection> take() { return std::move(sections_); }

 private:
  void add_attention(std::uint32_t layer) {
    if (options_.attention.empty()) return;
    auto bytes = encode_attention(options_.attention.at(layer), config_,
                                  fmt::format("the attention of layer {}", layer));
    if (!bytes.empty()) add_bytes(SectionKind::attention, std::move(bytes), 0, layer + 1);
  }

  /// Biases that are all zero have no section.
  bool has_biases(TensorName tensor, std::uint32_t layer) const {
    if (!has_tensor(shape_, tensor)) return false;
    std::vector<float> biases(tensor_extent(shape_, tensor).columns);
    checkpoint_.read_row(biases, tensor, layer, 0);
    return std::any_of(biases.begin(), biases.end(), [](float bias) { return bias != 0; });
  }

  void add_tensor(const TensorSection& entry, std::uint32_t layer) {
    const TensorExtent extent = tensor_extent(shape_, entry.tensor);
    PlannedSection planned;
    planned.tensor = entry.tensor;
    planned.tensor_layer = layer;
    Section& section = planned.section;
    section.kind = entry.kind;
    if (belongs_to_layer(entry.tensor)) section.layer = static_cast<std::uint16_t>(layer + 1);
    section.columns = static_cast<std::uint32_t>(extent.columns);
    if (is_bias(entry.tensor)) {
      section.rows = std::exchange(section.columns, 0);
      set_bytes(planned, extent.columns * sizeof(std::int32_t));
    } else if (is_norm(entry.tensor)) {
      set_bytes(planned, extent.columns * sizeof(std::int16_t));
    } else {
      const std::uint32_t block =
          entry.tensor == TensorName::wo ? config_.head_block() : config_.block;
      section.rows = static_cast<std::uint32_t>(extent.rows);
      const auto format = options_.formats.find({section.kind, section.layer});
      section.format = format != options_.formats.end() ? format->second : options_.weights;
      section.block = static_cast<std::uint8_t>(block);
      set_bytes(planned, matrix_layout(extent.rows, extent.columns, block, section.format).bytes);
    }
    sections_.push_back(std::move(planned));
  }

  static void set_bytes(PlannedSection& planned, std::uint64_t bytes) {
    if (bytes > std::numeric_limits<std::uint32_t>::max()) {
      throw Error(fmt::format("{} would need {} bytes, a section holds less than 4 GiB",
                              tensor_label(planned.tensor, planned.tensor_layer), bytes));
    }
    planned.section.bytes = static_cast<std::uint32_t>(bytes);
  }

  const Checkpoint& checkpoint_;
  CheckpointShape shape_;
  ModelConfig config_;
  const ConvertOptions& options_;
  std::vector<PlannedSection> sections_;
};

}  // namespace

std::vector<PlannedSection> plan_sections(const Checkpoint& checkpoint, const ModelConfig& config,
                                          const Vocabulary& vocabulary,
                                          const ConvertOptions& options) {
  if (!options.attention.empty() && options.attention.size() != config.n_layers) {
    throw Error(fmt::format("the attention of {} layers was given, the model has {}",
                            options.attention.size(), config.n_layers));
  }
  Planner planner(checkpoint, config, options);
  planner.add_bytes(SectionKind::config, encode_config(config));
  planner.add_bytes(SectionKind::metadata, encode_metadata(options));
  planner.add_bytes(SectionKind::tokenizer, build_tokenizer_section(vocabulary));
  planner.add_bytes(SectionKind::rope_frequencies,
                    encode_rope_frequencies(config.head_size, checkpoint.shape().rope_base,
                                            checkpoint.shape().rope_factors),
                    config.head_size / 2);
  planner.add_tensors();
  return planner.take();
}

}  // namespace mote::host
