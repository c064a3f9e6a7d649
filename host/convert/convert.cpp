// SPDX-License-Identifier: Apache-2.0
#include "convert/convert.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "convert/image_writer.hpp"
#include "convert/matrix_section.hpp"
#include "convert/model_sections.hpp"
#include "convert/section_plan.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// The norm whose gains the columns of a tensor take in (SPEC.md, "Gains and
/// frequencies").
std::optional<TensorName> norm_before(TensorName tensor) {
  switch (tensor) {
    case TensorName::wq:
    case TensorName::wk:
    case TensorName::wv:
      return TensorName::attention_norm;
    case TensorName::w_gate:
    case TensorName::w_up:
      return TensorName::ffn_norm;
    default:
      return std::nullopt;
  }
}

/// (columns), empty where the tensor follows no norm.
std::vector<float> read_gains(const Checkpoint& checkpoint, const PlannedSection& planned) {
  const std::optional<TensorName> norm = norm_before(planned.tensor);
  if (!norm) return {};
  std::vector<float> gains(planned.section.columns);
  checkpoint.read_row(gains, *norm, planned.tensor_layer, 0);
  return gains;
}

TensorSource make_source(const Checkpoint& checkpoint, const PlannedSection& planned) {
  TensorSource source;
  source.label = tensor_label(planned.tensor, planned.tensor_layer);
  const TensorExtent extent = tensor_extent(checkpoint.shape(), planned.tensor);
  source.rows = static_cast<std::uint32_t>(extent.rows);
  source.columns = static_cast<std::uint32_t>(extent.columns);
  source.read_row = [&checkpoint, &planned, gains = read_gains(checkpoint, planned)](
                        std::span<float> out, std::uint32_t row) {
    checkpoint.read_row(out, planned.tensor, planned.tensor_layer, row);
    for (std::size_t i = 0; i < gains.size(); ++i) out[i] *= gains[i];
  };
  return source;
}

TensorReport make_report(const PlannedSection& planned, const RoundingError& error) {
  TensorReport report;
  report.name = tensor_label(planned.tensor, planned.tensor_layer);
  report.rows = planned.section.rows;
  report.columns = planned.section.columns;
  report.format = planned.section.format;
  report.bytes = planned.section.bytes;
  report.relative_rms_error = error.relative_rms();
  report.largest_error = error.largest_error;
  return report;
}

/// Counts the rows of all matrices.
class RowCounter {
 public:
  RowCounter(const std::vector<PlannedSection>& plan, const ConvertProgress& progress)
      : progress_(progress) {
    for (const PlannedSection& planned : plan) {
      if (planned.section.format != WeightFormat::raw) rows_total_ += planned.section.rows;
    }
  }
  void count_row() {
    ++rows_done_;
    if (progress_) progress_(rows_done_, rows_total_);
  }

 private:
  const ConvertProgress& progress_;
  std::uint64_t rows_done_ = 0;
  std::uint64_t rows_total_ = 0;
};

EncodedTensor encode_tensor(const TensorSource& source, const PlannedSection& planned,
                            const ModelConfig& config, RowCounter& counter) {
  const Section& section = planned.section;
  if (is_norm(planned.tensor)) return encode_gains(source);
  if (planned.tensor == TensorName::bo) {
    return encode_biases(source, static_cast<int>(config.residual_fraction_bits));
  }
  if (is_bias(planned.tensor)) return encode_biases(source, kProjectionFractionBits);
  return encode_matrix(source, section.format, section.block, [&] { counter.count_row(); });
}

}  // namespace

ConvertReport convert_checkpoint(const std::string& out_path, const Checkpoint& checkpoint,
                                 const Vocabulary& vocabulary, const ConvertOptions& options,
                                 const ConvertProgress& progress) {
  const ModelConfig config = make_config(checkpoint.shape(), options, "the model");
  if (vocabulary.entries.size() != config.vocab_size) {
    throw Error(fmt::format("the tokenizer has {} tokens, the model's vocab_size is {}",
                            vocabulary.entries.size(), config.vocab_size));
  }
  const std::vector<PlannedSection> plan = plan_sections(checkpoint, config, vocabulary, options);
  std::vector<Section> sections;
  for (const PlannedSection& planned : plan) sections.push_back(planned.section);

  ImageWriter writer(out_path, std::move(sections));
  RowCounter counter(plan, progress);
  ConvertReport report;
  RoundingError total;
  for (const PlannedSection& planned : plan) {
    if (!planned.bytes.empty()) {
      writer.write(planned.bytes);
      continue;
    }
    const EncodedTensor encoded =
        encode_tensor(make_source(checkpoint, planned), planned, config, counter);
    writer.write(encoded.bytes, encoded.exponent);
    checkpoint.release_pages();
    report.tensors.push_back(make_report(planned, encoded.error));
    if (planned.section.format != WeightFormat::raw) total.add(encoded.error);
  }
  report.relative_rms_error = total.relative_rms();
  writer.finish();
  report.image_bytes = writer.image_bytes();
  return report;
}

}  // namespace mote::host
