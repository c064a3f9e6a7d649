// SPDX-License-Identifier: Apache-2.0
#include "convert/convert.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "convert/image_writer.hpp"
#include "convert/matrix_section.hpp"
#include "convert/model_sections.hpp"
#include "convert/section_plan.hpp"
#include "convert/tensor_source.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

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

/// The tensor rounded here, or as the options bring it.
EncodedTensor take_tensor(const Checkpoint& checkpoint, const PlannedSection& planned,
                          const ModelConfig& config, const ConvertOptions& options,
                          RowCounter& counter) {
  const auto ready = options.rounded.find({planned.section.kind, planned.section.layer});
  if (ready != options.rounded.end()) return ready->second.encoded;
  return encode_tensor(make_source(checkpoint, planned), planned, config, counter);
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
    const EncodedTensor encoded = take_tensor(checkpoint, planned, config, options, counter);
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
