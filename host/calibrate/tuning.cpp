// SPDX-License-Identifier: Apache-2.0
#include "calibrate/tuning.hpp"

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "calibrate/divergence.hpp"
#include "calibrate/lessons.hpp"
#include "calibrate/packed_matrix.hpp"
#include "calibrate/tuned_matrix.hpp"

namespace mote::host {
namespace {

/// Steps between examinations.
constexpr std::uint32_t kExaminePeriod = 100;
/// Threads that move matrices, each of which is moved by itself.
constexpr std::size_t kThreads = 4;
/// Patience with lanes that go to and fro: none are held before this share of the steps; then it
/// falls from the first number to the second, at which a single change is one too many.
constexpr float kPatientShare = 0.1F;
constexpr float kFirstPatience = 0.1F;
constexpr float kLastPatience = 0.005F;

/// Steps become smaller and smaller.
TuningPace pace_at(float progress) {
  TuningPace pace;
  pace.rate = 1 - progress;
  if (progress < kPatientShare) return pace;
  const float fall = (progress - kPatientShare) / (1 - kPatientShare);
  pace.patience = kFirstPatience + (kLastPatience - kFirstPatience) * fall * fall * (3 - 2 * fall);
  return pace;
}

CalibrationText join(const CalibrationText& text, const CalibrationText& written) {
  CalibrationText all = text;
  all.passages.insert(all.passages.end(), written.passages.begin(), written.passages.end());
  all.tokens += written.tokens;
  all.longest = std::max(all.longest, written.longest);
  return all;
}

class Tuner {
 public:
  Tuner(const RoundedMatrices& matrices, const FloatModel& exact,
        const std::vector<PlannedSection>& plan, const CalibrationText& text,
        const CalibrationText& written)
      : student_(exact),
        text_(join(text, written)),
        meter_(exact, text_),
        lessons_(text_, text.passages.size()) {
    set_rounded(student_, matrices, plan);
    for (const PlannedSection& planned : plan) {
      const Section& section = planned.section;
      const auto found = matrices.find({section.kind, section.layer});
      if (found == matrices.end()) continue;
      const std::size_t index = exact.index_of(section.kind, section.layer);
      names_.push_back(found->first);
      tuned_.emplace_back(unpack_matrix(found->second, section), exact.matrix(index));
    }
  }

  TuningReport run(std::uint32_t steps,
                   const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    TuningReport report;
    report.before = report.after = meter_.measure(student_, lessons_.held_out());
    for (std::uint32_t done = 1; done <= steps; ++done) {
      step(pace_at(static_cast<float>(done - 1) / static_cast<float>(steps)));
      if (done % kExaminePeriod == 0 || done == steps) examine(report);
      if (progress) progress(done, steps);
    }
    return report;
  }

  void store(RoundedMatrices& matrices) const {
    for (std::size_t i = 0; i < tuned_.size(); ++i) {
      store_numbers(matrices.at(names_[i]), tuned_[i].best());
    }
  }

 private:
  void step(const TuningPace& pace) {
    meter_.measure(gradient_, student_, lessons_.next());
    std::vector<std::thread> threads;
    for (std::size_t first = 0; first < kThreads; ++first) {
      threads.emplace_back([this, first, &pace] {
        std::vector<float> cells;
        for (std::size_t i = first; i < tuned_.size(); i += kThreads) {
          const std::size_t index = student_.index_of(names_[i].first, names_[i].second);
          tuned_[i].step(gradient_[index].cells, pace);
          fill_cells(cells, tuned_[i].numbers());
          student_.set_matrix(index, cells);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void examine(TuningReport& report) {
    const double divergence = meter_.measure(student_, lessons_.held_out());
    if (!(divergence < report.after)) return;
    report.after = divergence;
    for (TunedMatrix& tuned : tuned_) tuned.keep();
  }

  FloatModel student_;
  CalibrationText text_;
  DivergenceMeter meter_;
  Lessons lessons_;
  std::vector<SectionName> names_;
  std::vector<TunedMatrix> tuned_;  // (names)
  std::vector<FloatMatrix> gradient_;
};

}  // namespace

void set_rounded(FloatModel& model, const RoundedMatrices& matrices,
                 const std::vector<PlannedSection>& plan) {
  std::vector<float> cells;
  for (const PlannedSection& planned : plan) {
    const Section& section = planned.section;
    const auto found = matrices.find({section.kind, section.layer});
    if (found == matrices.end()) continue;
    fill_cells(cells, unpack_matrix(found->second, section));
    model.set_matrix(model.index_of(section.kind, section.layer), cells);
  }
}

TuningReport tune_matrices(RoundedMatrices& matrices, const FloatModel& exact,
                           const std::vector<PlannedSection>& plan, const CalibrationText& text,
                           const CalibrationText& written, std::uint32_t steps,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  Tuner tuner(matrices, exact, plan, text, written);
  const TuningReport report = tuner.run(steps, progress);
  tuner.store(matrices);
  return report;
}

}  // namespace mote::host
