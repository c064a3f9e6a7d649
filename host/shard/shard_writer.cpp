// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_writer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "convert/image_writer.hpp"
#include "model/image_shard.hpp"
#include "shard/shard_section.hpp"
#include "support/little_endian.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kContentHashOffset = 32;
constexpr std::size_t kContentHashBytes = 32;

using Bytes = std::vector<std::uint8_t>;

/// A section of the shard and where its bytes come from.
struct ShardSection {
  Section section;
  Bytes bytes;  // empty: from the whole image
};

bool is_matrix(const Section& section) {
  return section.format != WeightFormat::raw;
}

/// The attention section of a layer with the decays of the local K/V heads.
Bytes cut_attention(const Image& whole, std::uint32_t layer, const HeadSet& heads) {
  const auto section = whole.section_bytes(SectionKind::attention, layer);
  const LayerAttentionConfig attention = whole.layer_attention(layer);
  Bytes out(section.begin(), section.begin() + kAttentionHeaderBytes);
  if (attention.decays == nullptr) return out;
  const std::uint32_t group = whole.config().heads_per_kv_head();
  for (std::uint32_t i = 0; i < heads.kv_count(group); ++i) {
    out.resize(out.size() + sizeof(std::uint32_t));
    store_u32(out.data() + out.size() - sizeof(std::uint32_t),
              attention.decays[heads.kv_head(i, group)]);
  }
  return out;
}

bool has_rows(const Section& section) {
  return is_matrix(section) || is_bias(section.kind);
}

Section cut_section(const Section& whole, const ModelConfig& config, const Slice& slice) {
  Section section = whole;
  section.rows = held_row_count(whole.kind, whole.layer, config, slice);
  section.bytes =
      is_bias(whole.kind)
          ? section.rows * static_cast<std::uint32_t>(sizeof(std::int32_t))
          : static_cast<std::uint32_t>(
                matrix_layout(section.rows, section.columns, section.block, section.format).bytes);
  return section;
}

ShardSection make_bytes_section(SectionKind kind, std::uint32_t layer, Bytes bytes) {
  ShardSection made;
  made.section.kind = kind;
  made.section.layer = static_cast<std::uint16_t>(layer);
  made.section.bytes = static_cast<std::uint32_t>(bytes.size());
  made.bytes = std::move(bytes);
  return made;
}

/// In the order of the section table.
std::vector<ShardSection> plan_shard(const Image& whole, const ShardInfo& shard) {
  std::vector<ShardSection> plan = {make_bytes_section(SectionKind::shard, 0, encode_shard(shard))};
  for (std::uint32_t i = 0; i < whole.section_count(); ++i) {
    const Section section = whole.section(i);
    if (section.kind == SectionKind::tokenizer && shard.rank != 0) continue;
    if (section.kind == SectionKind::attention) {
      plan.push_back(make_bytes_section(section.kind, section.layer,
                                        cut_attention(whole, section.layer, shard.slice.heads)));
    } else {
      plan.push_back(
          {has_rows(section) ? cut_section(section, whole.config(), shard.slice) : section, {}});
    }
  }
  std::ranges::sort(plan, {}, [](const ShardSection& part) {
    return std::pair(part.section.layer, part.section.kind);
  });
  return plan;
}

void append(std::uint8_t*& out, const void* bytes, std::size_t count) {
  out = std::copy_n(static_cast<const std::uint8_t*>(bytes), count, out);
}

/// The section of the rows of `matrix` in `rows`.
Bytes cut_matrix(const MatrixView& matrix, const Section& section, const std::vector<Range>& rows) {
  const MatrixLayout layout =
      matrix_layout(section.rows, section.columns, section.block, section.format);
  Bytes out(layout.bytes);
  std::uint8_t* scales = out.data();
  std::uint8_t* factors = out.data() + layout.factors_offset;
  std::uint8_t* weights = out.data() + layout.weights_offset;
  for (const Range& range : rows) {
    const MatrixView part = matrix.slice(range.first, range.count);
    append(scales, part.row_scales, range.count * sizeof(Scale16));
    if (part.block_factors != nullptr) {
      append(factors, part.block_factors, std::size_t{range.count} * part.blocks());
    }
    append(weights, part.weights, std::size_t{range.count} * part.row_bytes());
  }
  return out;
}

/// The biases of the rows in `rows`.
Bytes cut_biases(const std::int32_t* biases, const Section& section,
                 const std::vector<Range>& rows) {
  Bytes out(section.bytes);
  std::uint8_t* place = out.data();
  for (const Range& range : rows) {
    append(place, biases + range.first, range.count * sizeof(std::int32_t));
  }
  return out;
}

Bytes section_contents(const Image& whole, const ShardSection& part, const Slice& slice) {
  const Section& section = part.section;
  if (!part.bytes.empty()) return part.bytes;
  if (has_rows(section)) {
    const auto rows = rows_of_slice(section.kind, section.layer, whole.config(), slice);
    return is_matrix(section)
               ? cut_matrix(whole.matrix(section.kind, section.layer), section, rows)
               : cut_biases(whole.biases(biased_kind(section.kind), section.layer), section, rows);
  }
  const auto bytes = whole.section_bytes(section.kind, section.layer);
  return {bytes.begin(), bytes.end()};
}

/// The content hash of the finished image.
Bytes read_hash(const std::string& path) {
  const MappedFile file(path);
  const auto hash = file.bytes().subspan(kContentHashOffset, kContentHashBytes);
  return {hash.begin(), hash.end()};
}

void count_section(ShardReport& report, const Section& section) {
  if (section.kind == SectionKind::tokenizer) report.tokenizer_bytes = section.bytes;
  if (has_rows(section) || section.kind == SectionKind::final_norm) {
    report.weight_bytes += section.bytes;
  }
}

}  // namespace

ShardReport write_shard(const std::string& out_path, const Image& whole, const ShardInfo& shard,
                        const ShardProgress& progress) {
  if (whole.is_shard()) throw std::logic_error("a shard cannot be cut again");
  const std::vector<ShardSection> plan = plan_shard(whole, shard);
  std::vector<Section> sections;
  sections.reserve(plan.size());
  for (const ShardSection& part : plan) sections.push_back(part.section);
  ImageWriter writer(out_path, std::move(sections));
  ShardReport report;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    writer.write(section_contents(whole, plan[i], shard.slice), plan[i].section.exponent);
    const Section& written = writer.sections()[i];
    count_section(report, written);
    if (progress) progress(std::uint64_t{written.offset} + written.bytes, writer.image_bytes());
  }
  writer.finish();
  report.image_bytes = writer.image_bytes();
  report.hash = read_hash(out_path);
  return report;
}

}  // namespace mote::host
