// SPDX-License-Identifier: Apache-2.0
#include "calibrate/format_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "calibrate/divergence.hpp"
#include "calibrate/mixed_choice.hpp"
#include "calibrate/packed_matrix.hpp"
#include "calibrate/tuning.hpp"
#include "convert/image_writer.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// Tokens of the part of the text that gains are measured on.
constexpr std::uint64_t kGainTokens = 8192;
/// What is measured as no gain is taken where there is room for everything.
constexpr double kLeastGain = 1e-9;

bool is_matrix(const PlannedSection& planned) {
  return planned.section.format != WeightFormat::raw;
}

std::uint64_t matrix_bytes(const std::vector<PlannedSection>& plan) {
  std::uint64_t bytes = 0;
  for (const PlannedSection& planned : plan) {
    if (is_matrix(planned)) bytes += planned.section.bytes;
  }
  return bytes;
}

std::uint64_t weight_count(const std::vector<PlannedSection>& plan) {
  std::uint64_t weights = 0;
  for (const PlannedSection& planned : plan) {
    if (is_matrix(planned))
      weights += std::uint64_t{planned.section.rows} * planned.section.columns;
  }
  return weights;
}

std::uint64_t image_bytes(const std::vector<PlannedSection>& plan) {
  std::vector<Section> sections;
  for (const PlannedSection& planned : plan) sections.push_back(planned.section);
  return layout_sections(sections, "the image");
}

std::uint64_t bytes_in(const Section& section, WeightFormat format) {
  return matrix_layout(section.rows, section.columns, section.block, format).bytes;
}

/// What counts against the budget, and how much there may be of it.
std::uint64_t counted_bytes(const std::vector<PlannedSection>& plan, const MixedBudget& budget) {
  return budget.image_bytes ? image_bytes(plan) : matrix_bytes(plan);
}
std::uint64_t allowed_bytes(const std::vector<PlannedSection>& plan, const MixedBudget& budget) {
  if (budget.image_bytes) return *budget.image_bytes;
  const double bits = *budget.bits_per_weight * static_cast<double>(weight_count(plan));
  return static_cast<std::uint64_t>(std::floor(bits / 8));
}

void set_format(PlannedSection& planned, WeightFormat format) {
  planned.section.format = format;
  planned.section.bytes = static_cast<std::uint32_t>(bytes_in(planned.section, format));
}

/// A matrix of the image, as it stands there.
RoundedMatrix matrix_of(const Image& image, const SectionName& name) {
  Section section;
  const bool found = image.find(section, name.first, name.second);
  if (!found) throw Error("the reference lacks a matrix");
  const auto bytes = image.section_bytes(section.kind, section.layer);
  return {section.format, {{bytes.begin(), bytes.end()}, section.exponent, {}}};
}

}  // namespace

FormatGains measure_gains(const FloatModel& exact, const Image& reference,
                          const RoundedMatrices& int4, const std::vector<PlannedSection>& plan,
                          const CalibrationText& text,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const CalibrationText part = sample_text(text, kGainTokens);
  std::vector<std::size_t> passages(part.passages.size());
  std::iota(passages.begin(), passages.end(), std::size_t{0});
  DivergenceMeter meter(exact, part);
  FloatModel model = exact;
  RoundedMatrices int8;
  for (const auto& [name, matrix] : int4) {
    int8.emplace(name, matrix_of(reference, name));
  }
  set_rounded(model, int8, plan);
  const double all_int8 = meter.measure(model, passages);
  FormatGains gains;
  for (const PlannedSection& planned : plan) {
    if (!is_matrix(planned)) continue;
    const Section& section = planned.section;
    const SectionName name = {section.kind, section.layer};
    set_rounded(model, {{name, int4.at(name)}}, plan);
    gains[name] = meter.measure(model, passages) - all_int8;
    set_rounded(model, {{name, int8.at(name)}}, plan);
    if (progress) progress(gains.size(), int4.size());
  }
  return gains;
}

double bits_per_weight(const std::vector<PlannedSection>& plan) {
  return 8 * static_cast<double>(matrix_bytes(plan)) / static_cast<double>(weight_count(plan));
}

void check_budget(const std::vector<PlannedSection>& plan, const MixedBudget& budget) {
  if (counted_bytes(plan, budget) <= allowed_bytes(plan, budget)) return;
  if (budget.image_bytes) {
    throw Error(
        fmt::format("the budget is {} bytes; the smallest image of this model, all int4, "
                    "has {}",
                    *budget.image_bytes, image_bytes(plan)));
  }
  throw Error(fmt::format("the budget is {} bits a weight; all int4 this model needs {:.3f}",
                          *budget.bits_per_weight, std::ceil(bits_per_weight(plan) * 1000) / 1000));
}

void apply_choice(std::vector<PlannedSection>& plan, const FormatGains& gains,
                  const MixedBudget& budget) {
  std::vector<PlannedSection*> matrices;
  std::vector<Upgrade> upgrades;
  for (PlannedSection& planned : plan) {
    if (!is_matrix(planned)) continue;
    const Section& section = planned.section;
    matrices.push_back(&planned);
    upgrades.push_back({bytes_in(section, WeightFormat::int8) - section.bytes,
                        std::max(kLeastGain, gains.at({section.kind, section.layer}))});
  }
  const std::uint64_t allowed = allowed_bytes(plan, budget);
  // Sections begin at multiples of 32, so that an image may grow by a little more than they do.
  for (std::uint64_t room = allowed - counted_bytes(plan, budget);;) {
    const std::vector<bool> chosen = choose_upgrades(upgrades, room);
    for (std::size_t i = 0; i < matrices.size(); ++i) {
      set_format(*matrices[i], chosen[i] ? WeightFormat::int8 : WeightFormat::int4);
    }
    const std::uint64_t bytes = counted_bytes(plan, budget);
    if (bytes <= allowed) return;
    room -= std::min<std::uint64_t>(room, bytes - allowed);
  }
}

}  // namespace mote::host
