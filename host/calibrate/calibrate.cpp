// SPDX-License-Identifier: Apache-2.0
#include "calibrate/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "calibrate/activations.hpp"
#include "calibrate/working_image.hpp"
#include "convert/checkpoint_shape.hpp"
#include "convert/tensor_source.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// Tokens that a Hessian is gathered from: so many times its columns, but never fewer than the
/// second number. More hardly move it.
constexpr std::uint64_t kTokensPerColumn = 64;
constexpr std::uint64_t kLeastTokens = 8192;
/// 2 GiB for a Hessian.
constexpr std::uint32_t kMostColumns = 16384;

/// What the matrices of a layer read, in the order in which a token meets them.
constexpr MatrixInput kInputs[] = {MatrixInput::attention_input, MatrixInput::heads,
                                   MatrixInput::ffn_input, MatrixInput::hidden};

MatrixInput input_of(SectionKind kind) {
  switch (kind) {
    case SectionKind::wo:
      return MatrixInput::heads;
    case SectionKind::w_gate:
    case SectionKind::w_up:
      return MatrixInput::ffn_input;
    case SectionKind::w_down:
      return MatrixInput::hidden;
    default:
      return MatrixInput::attention_input;
  }
}

class Calibration {
 public:
  Calibration(const Checkpoint& checkpoint, const Image& reference,
              const std::vector<PlannedSection>& plan, const CalibrationText& text,
              ErrorsBefore errors_before,
              const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : checkpoint_(checkpoint),
        reference_(reference),
        plan_(plan),
        errors_before_(errors_before),
        progress_(progress) {
    std::uint32_t widest = 0;
    for (const PlannedSection& planned : plan) {
      if (planned.section.format == WeightFormat::raw) continue;
      widest = std::max(widest, planned.section.columns);
      ++in_all_;
      if (planned.section.columns <= kMostColumns) continue;
      throw Error(fmt::format("{} has {} columns, calibration is for {} at most",
                              tensor_label(planned.tensor, planned.tensor_layer),
                              planned.section.columns, kMostColumns));
    }
    text_ = sample_text(text, std::max(kLeastTokens, kTokensPerColumn * widest));
  }

  CalibratedMatrices run() {
    round_embedding();
    for (std::uint32_t layer = 0; layer < reference_.config().n_layers; ++layer) {
      for (const MatrixInput input : kInputs) round_layer(layer, input);
    }
    round_classifier();
    return std::move(result_);
  }

 private:
  const RoundedMatrices& seen() const {
    static const RoundedMatrices none;
    return errors_before_ == ErrorsBefore::seen ? result_.matrices : none;
  }

  /// What the classifier reads decides, which the embedding mostly is; as the first matrix of all
  /// it has no error before it.
  void round_embedding() {
    const InputStatistics statistics = gather_final_inputs(reference_, reference_, text_);
    round_section(statistics, SectionKind::token_embedding, 0);
  }

  void round_classifier() {
    Section section;
    if (!reference_.find(section, SectionKind::classifier, 0)) return;
    const WorkingImage so_far(reference_, seen(), reference_.config().n_layers);
    const InputStatistics statistics = gather_final_inputs(so_far.image(), reference_, text_);
    round_section(statistics, SectionKind::classifier, 0);
  }

  void round_layer(std::uint32_t layer, MatrixInput input) {
    const WorkingImage so_far(reference_, seen(), layer + 1);
    const WorkingImage exact(reference_, {}, layer + 1);
    const InputStatistics statistics =
        gather_inputs(so_far.image(), exact.image(), text_, layer, input);
    for (const PlannedSection& planned : plan_) {
      const Section& section = planned.section;
      if (section.layer != layer + 1 || section.format == WeightFormat::raw) continue;
      if (input_of(section.kind) == input) round_section(statistics, section.kind, section.layer);
    }
  }

  void round_section(const InputStatistics& statistics, SectionKind kind, std::uint32_t layer) {
    const auto planned = std::find_if(plan_.begin(), plan_.end(), [&](const auto& entry) {
      return entry.section.kind == kind && entry.section.layer == layer;
    });
    const MatrixRounder rounder(statistics, planned->section.block, planned->section.format);
    const SectionName name = {kind, layer};
    result_.matrices[name] =
        rounder.round(result_.errors[name], make_source(checkpoint_, *planned));
    checkpoint_.release_pages();
    if (progress_) progress_(result_.matrices.size(), in_all_);
  }

  const Checkpoint& checkpoint_;
  const Image& reference_;
  const std::vector<PlannedSection>& plan_;
  ErrorsBefore errors_before_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  CalibrationText text_;
  std::uint64_t in_all_ = 0;
  CalibratedMatrices result_;
};

}  // namespace

CalibratedMatrices calibrate_matrices(
    const Checkpoint& checkpoint, const Image& reference, const std::vector<PlannedSection>& plan,
    const CalibrationText& text, ErrorsBefore errors_before,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  return Calibration(checkpoint, reference, plan, text, errors_before, progress).run();
}

}  // namespace mote::host
