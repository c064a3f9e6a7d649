// SPDX-License-Identifier: Apache-2.0
#include "calibrate/calibrated_convert.hpp"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "calibrate/calibrate.hpp"
#include "calibrate/divergence.hpp"
#include "calibrate/exact_model.hpp"
#include "calibrate/format_choice.hpp"
#include "calibrate/lessons.hpp"
#include "calibrate/tuning.hpp"
#include "calibrate/working_image.hpp"
#include "calibrate/written_text.hpp"
#include "convert/tensor_source.hpp"
#include "run/engine.hpp"
#include "run/perplexity.hpp"
#include "support/mapped_file.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

/// Tokens of the part of the text that perplexities are measured on.
constexpr std::uint64_t kMeasuredTokens = 16384;

/// The checkpoint in int8, in a file of its own.
class Reference {
 public:
  Reference(const Checkpoint& checkpoint, const Vocabulary& vocabulary, ConvertOptions options)
      : file_("mote-calibrate") {
    options.weights = WeightFormat::int8;
    convert_checkpoint(file_.path(), checkpoint, vocabulary, options);
    mapped_ = std::make_unique<MappedFile>(file_.path());
    image_ = open_image(file_.path(), mapped_->bytes(), Verify::structure);
  }

  const Image& image() const { return image_; }
  Tokenizer tokenizer() const { return open_tokenizer(file_.path(), image_); }

 private:
  TemporaryFile file_;
  std::unique_ptr<MappedFile> mapped_;
  Image image_;
};

double measure_perplexity(const Image& image, const CalibrationText& text) {
  WorkingModel model(image, static_cast<std::uint32_t>(text.longest), 1);
  Transformer& transformer = model.transformer();
  std::vector<std::int32_t> logits(image.config().vocab_size);
  double sum = 0;
  std::uint64_t tokens = 0;
  for (const auto& passage : text.passages) {
    transformer.reset();
    for (std::size_t i = 0; i + 1 < passage.size(); ++i) {
      check(transformer.decode({&passage[i], 1}), "calibration");
      transformer.logits(logits);
      sum += negative_log_likelihood(logits, passage[i + 1]);
      ++tokens;
    }
  }
  return tokens == 0 ? 1 : std::exp(sum / static_cast<double>(tokens));
}

/// Plain rounding to the formats of a plan.
RoundedMatrices round_plainly(const Checkpoint& checkpoint,
                              const std::vector<PlannedSection>& plan) {
  RoundedMatrices matrices;
  for (const PlannedSection& planned : plan) {
    const Section& section = planned.section;
    if (section.format == WeightFormat::raw) continue;
    matrices[{section.kind, section.layer}] = {
        section.format,
        encode_matrix(make_source(checkpoint, planned), section.format, section.block)};
    checkpoint.release_pages();
  }
  return matrices;
}

class CalibratedConversion {
 public:
  CalibratedConversion(const Checkpoint& checkpoint, const Vocabulary& vocabulary,
                       const ConvertOptions& options, const CalibrationOptions& calibration,
                       const CalibrationProgress& progress)
      : checkpoint_(checkpoint),
        vocabulary_(vocabulary),
        options_(options),
        calibration_(calibration),
        progress_(progress),
        reference_(checkpoint, vocabulary, options),
        text_(read_calibration_text(calibration.text, reference_.tokenizer(),
                                    reference_.image().config().context_length,
                                    calibration.text_name)) {}

  ConvertReport run(const std::string& out_path) {
    if (calibration_.budget) options_.weights = WeightFormat::int4;
    plan_ = plan_sections(checkpoint_, reference_.image().config(), vocabulary_, options_);
    if (calibration_.budget) check_budget(plan_, *calibration_.budget);
    if (calibration_.budget || calibration_.steps != 0) {
      exact_.emplace(load_exact_model(checkpoint_, reference_.image(), plan_));
    }
    if (calibration_.budget) choose_formats();
    CalibratedMatrices calibrated = calibrate("calibrate", ErrorsBefore::seen);
    tune(calibrated.matrices);
    options_.rounded = std::move(calibrated.matrices);
    ConvertReport report =
        convert_checkpoint(out_path, checkpoint_, vocabulary_, options_, [&](auto done, auto all) {
          if (progress_) progress_("write", done, all);
        });
    complete(report, calibrated.errors);
    return report;
  }

 private:
  CalibratedMatrices calibrate(std::string_view stage, ErrorsBefore errors_before) {
    return calibrate_matrices(checkpoint_, reference_.image(), plan_, text_, errors_before,
                              [&](std::uint64_t done, std::uint64_t total) {
                                if (progress_) progress_(stage, done, total);
                              });
  }

  void choose_formats() {
    const RoundedMatrices int4 = calibrate("try int4", ErrorsBefore::hidden).matrices;
    gains_ = measure_gains(*exact_, reference_.image(), int4, plan_, text_,
                           [&](std::uint64_t done, std::uint64_t total) {
                             if (progress_) progress_("choose", done, total);
                           });
    apply_choice(plan_, gains_, *calibration_.budget);
    for (const PlannedSection& planned : plan_) {
      if (planned.section.format != WeightFormat::raw) {
        options_.formats[{planned.section.kind, planned.section.layer}] = planned.section.format;
      }
    }
  }

  CalibrationText write(const CalibrationText& text, std::uint64_t most) {
    const double tokens = calibration_.written_share * static_cast<double>(text.tokens);
    const Tokenizer tokenizer = reference_.tokenizer();
    return write_text(
        reference_.image(), tokenizer, text,
        tokens < static_cast<double>(most) ? static_cast<std::uint64_t>(tokens) : most,
        [&](std::uint64_t done, std::uint64_t total) {
          if (progress_) progress_("draw", done, total);
        });
  }

  void tune(RoundedMatrices& matrices) {
    if (calibration_.steps == 0) return;
    // No more than the steps can read.
    const std::uint64_t readable = std::uint64_t{calibration_.steps} * kStepTokens;
    const CalibrationText text = sample_text(text_, readable);
    const CalibrationText written = write(text, readable);
    tuning_ = tune_matrices(matrices, *exact_, plan_, text, written, calibration_.steps,
                            [&](std::uint64_t done, std::uint64_t total) {
                              if (progress_) progress_("tune", done, total);
                            });
  }

  void complete(ConvertReport& report, const std::map<SectionName, ProductError>& errors) {
    std::size_t next = 0;
    for (const PlannedSection& planned : plan_) {
      if (!planned.bytes.empty()) continue;
      TensorReport& tensor = report.tensors.at(next++);
      const auto error = errors.find({planned.section.kind, planned.section.layer});
      if (error == errors.end()) continue;
      tensor.calibration.emplace();
      tensor.calibration->product_error = error->second.relative_rms();
      tensor.calibration->plain_product_error = error->second.plain_relative_rms();
      const auto gain = gains_.find(error->first);
      if (gain != gains_.end()) tensor.calibration->int8_gain = gain->second;
    }
    report.calibration = summarize();
  }

  CalibrationSummary summarize() {
    CalibrationSummary summary;
    const CalibrationText part = sample_text(text_, kMeasuredTokens);
    const std::uint32_t n_layers = reference_.image().config().n_layers;
    const auto measure = [&](const RoundedMatrices& matrices, std::uint64_t done) {
      if (progress_) progress_("measure", done, 3);
      return measure_perplexity(WorkingImage(reference_.image(), matrices, n_layers).image(), part);
    };
    summary.tokens = text_.tokens;
    summary.measured_tokens = part.tokens;
    summary.int8_perplexity = measure({}, 0);
    summary.plain_perplexity = measure(round_plainly(checkpoint_, plan_), 1);
    summary.perplexity = measure(options_.rounded, 2);
    summary.divergence_before = tuning_.before;
    summary.divergence_after = tuning_.after;
    summary.bits_per_weight = bits_per_weight(plan_);
    return summary;
  }

  const Checkpoint& checkpoint_;
  const Vocabulary& vocabulary_;
  ConvertOptions options_;
  const CalibrationOptions& calibration_;
  const CalibrationProgress& progress_;
  Reference reference_;
  CalibrationText text_;
  std::vector<PlannedSection> plan_;
  std::optional<FloatModel> exact_;
  FormatGains gains_;
  TuningReport tuning_;
};

}  // namespace

ConvertReport convert_calibrated(const std::string& out_path, const Checkpoint& checkpoint,
                                 const Vocabulary& vocabulary, const ConvertOptions& options,
                                 const CalibrationOptions& calibration,
                                 const CalibrationProgress& progress) {
  return CalibratedConversion(checkpoint, vocabulary, options, calibration, progress).run(out_path);
}

}  // namespace mote::host
