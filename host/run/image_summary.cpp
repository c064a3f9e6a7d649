// SPDX-License-Identifier: Apache-2.0
#include "run/image_summary.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mote::host {
namespace {

const char* kind_name(SectionKind kind) {
  switch (kind) {
    case SectionKind::config:
      return "config";
    case SectionKind::metadata:
      return "metadata";
    case SectionKind::tokenizer:
      return "tokenizer";
    case SectionKind::rope_frequencies:
      return "rope_frequencies";
    case SectionKind::token_embedding:
      return "token_embedding";
    case SectionKind::classifier:
      return "classifier";
    case SectionKind::final_norm:
      return "final_norm";
    case SectionKind::shard:
      return "shard";
    case SectionKind::wq:
      return "wq";
    case SectionKind::wk:
      return "wk";
    case SectionKind::wv:
      return "wv";
    case SectionKind::wo:
      return "wo";
    case SectionKind::w_gate:
      return "w_gate";
    case SectionKind::w_up:
      return "w_up";
    case SectionKind::w_down:
      return "w_down";
    case SectionKind::attention:
      return "attention";
    case SectionKind::bq:
      return "bq";
    case SectionKind::bk:
      return "bk";
    case SectionKind::bv:
      return "bv";
    case SectionKind::bo:
      return "bo";
  }
  return "unknown";
}

/// Weights that are no matrix: gains, whose number is that of columns, and biases, one a row.
bool is_vector(SectionKind kind) {
  return kind == SectionKind::final_norm || is_bias(kind);
}

}  // namespace

std::string section_name(const Section& section) {
  if (section.layer == 0) return kind_name(section.kind);
  return fmt::format("layers.{}.{}", section.layer - 1, kind_name(section.kind));
}

std::string format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::int8:
      return "int8";
    case WeightFormat::int4:
      return "int4";
    case WeightFormat::int8_pairs:
      return "int8_pairs";
    case WeightFormat::raw:
      break;
  }
  return "raw";
}

ImageSummary summarize(const Image& image) {
  ImageSummary summary;
  Section classifier;
  const bool has_classifier = image.find(classifier, SectionKind::classifier, 0);
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section section = image.section(i);
    if (section.kind == SectionKind::tokenizer) summary.tokenizer_bytes = section.bytes;
    if (section.format == WeightFormat::raw && !is_vector(section.kind)) continue;
    summary.weight_bytes += section.bytes;
    if (is_vector(section.kind)) {
      summary.parameters += section.rows + section.columns;
    } else {
      summary.parameters += std::uint64_t{section.rows} * section.columns;
    }
    const bool is_only_looked_up = section.kind == SectionKind::token_embedding && has_classifier;
    // A shard may have no row of the vocabulary.
    const std::uint32_t looked_up = section.bytes / std::max<std::uint32_t>(section.rows, 1);
    summary.bytes_per_token += is_only_looked_up ? looked_up : section.bytes;
  }
  return summary;
}

std::string weight_formats(const Image& image) {
  std::string text;
  for (const WeightFormat format :
       {WeightFormat::int8, WeightFormat::int8_pairs, WeightFormat::int4}) {
    for (std::uint32_t i = 0; i < image.section_count(); ++i) {
      if (image.section(i).format != format) continue;
      text += (text.empty() ? "" : " + ") + format_name(format);
      break;
    }
  }
  return text;
}

std::string hex_text(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string metadata_value(const Image& image, std::string_view key) {
  std::string_view text = image.metadata();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=') {
      return std::string(line.substr(key.size() + 1));
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return {};
}

}  // namespace mote::host
