// SPDX-License-Identifier: Apache-2.0
#include "model/image_validate.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/bytes.hpp"
#include "base/crc32.hpp"
#include "base/sha256.hpp"
#include "model/image_shard.hpp"
#include "mote/arena.hpp"

namespace mote {
namespace {

constexpr std::size_t kHeaderCrcOffset = 20;
constexpr std::size_t kContentHashOffset = 32;
constexpr std::array<std::uint8_t, 32> kZeros{};

/// CRC-32 of header and table with the checksum's own field taken as zero.
std::uint32_t header_crc(std::span<const std::uint8_t> head) {
  std::uint32_t crc = crc32(head.first(kHeaderCrcOffset));
  crc = crc32(std::span(kZeros).first(4), crc);
  return crc32(head.subspan(kHeaderCrcOffset + 4), crc);
}

Status check_header(std::uint32_t& section_count, std::span<const std::uint8_t> bytes) {
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kSectionAlignment != 0) {
    return Status::image_misaligned;
  }
  const std::size_t known = std::min<std::size_t>(bytes.size(), kImageMagic.size());
  if (!std::equal(kImageMagic.begin(), kImageMagic.begin() + known, bytes.begin())) {
    return Status::image_bad_magic;
  }
  if (bytes.size() < kImageHeaderBytes) return Status::image_truncated;
  if (load<std::uint16_t>(bytes, 8) != kImageVersion) return Status::image_bad_version;
  const auto file_bytes = load<std::uint32_t>(bytes, 12);
  if (bytes.size() < file_bytes) return Status::image_truncated;
  if (bytes.size() > file_bytes) return Status::image_bad_size;
  section_count = load<std::uint32_t>(bytes, 16);
  const std::uint64_t table_end =
      kImageHeaderBytes + std::uint64_t{section_count} * kSectionEntryBytes;
  if (section_count == 0 || section_count > 0xffff || table_end > file_bytes) {
    return Status::image_bad_section_table;
  }
  if (header_crc(bytes.first(static_cast<std::size_t>(table_end))) !=
      load<std::uint32_t>(bytes, kHeaderCrcOffset)) {
    return Status::image_bad_header_crc;
  }
  const bool reserved_zero = is_zero(bytes.subspan(10, 2)) && is_zero(bytes.subspan(24, 8));
  return reserved_zero ? Status::ok : Status::image_bad_section_table;
}

/// What one kind of section must look like for a configuration; rows follow from what is held.
struct Expected {
  std::uint32_t columns = 0;
  std::uint32_t block = 0;          // 0: not a matrix
  std::uint32_t element_bytes = 0;  // raw arrays of rows + columns elements; 0: free size
};

bool expected_section(Expected& expected, SectionKind kind, const ModelConfig& c) {
  switch (kind) {
    case SectionKind::config:
    case SectionKind::metadata:
    case SectionKind::tokenizer:
    case SectionKind::shard:
    case SectionKind::attention:
      expected = {};
      return true;
    case SectionKind::rope_frequencies:
      expected = {c.head_size / 2, 0, 4};
      return true;
    case SectionKind::final_norm:
      expected = {c.dim, 0, 2};
      return true;
    case SectionKind::bq:
    case SectionKind::bk:
    case SectionKind::bv:
    case SectionKind::bo:
      expected = {0, 0, 4};
      return true;
    case SectionKind::token_embedding:
    case SectionKind::classifier:
    case SectionKind::wq:
    case SectionKind::wk:
    case SectionKind::wv:
    case SectionKind::w_gate:
    case SectionKind::w_up:
      expected = {c.dim, c.block, 0};
      return true;
    case SectionKind::wo:
      expected = {c.heads_dim(), c.head_block(), 0};
      return true;
    case SectionKind::w_down:
      expected = {c.hidden_dim, c.block, 0};
      return true;
  }
  return false;
}

/// `kv_heads` are those that the image holds.
bool has_valid_attention(std::span<const std::uint8_t> section, std::uint32_t kv_heads) {
  if (section.size() < kAttentionHeaderBytes || !is_zero(section.subspan(12, 4))) return false;
  const LayerAttentionConfig attention = decode_attention(section);
  const bool is_linear = attention.kind == AttentionKind::linear;
  const std::size_t decays = is_linear ? kv_heads : 0;
  if (section.size() != kAttentionHeaderBytes + decays * sizeof(std::uint32_t)) return false;
  if (attention.kind == AttentionKind::sliding_window) {
    return attention.window >= 1 && attention.sinks <= kMaxSinks &&
           attention.window <= kMaxContext - attention.sinks;
  }
  // A causal layer has no section.
  if (!is_linear || attention.window != 0 || attention.sinks != 0) return false;
  return std::ranges::all_of(attention.decays, attention.decays + decays,
                             [](std::uint32_t decay) { return decay >= 1 && decay <= (1U << 16); });
}

// Config, metadata, tokenizer, rope_frequencies, token_embedding and final_norm; the matrices.
constexpr std::uint32_t kDemandedOfModel = 6;
constexpr std::uint32_t kDemandedOfLayer = 7;

bool may_be_absent(SectionKind kind, bool is_shard) {
  return kind >= SectionKind::attention || kind == SectionKind::classifier ||
         kind == SectionKind::shard || (is_shard && kind == SectionKind::tokenizer);
}

/// Of a section that has the right rows and columns.
bool has_expected_size(const Section& section, const Expected& expected) {
  if (expected.block != 0) {
    const bool is_weight =
        section.format != WeightFormat::raw && section.format <= WeightFormat::int8_pairs;
    return is_weight &&
           section.bytes ==
               matrix_layout(section.rows, section.columns, section.block, section.format).bytes;
  }
  const bool is_gain = expected.element_bytes == sizeof(std::int16_t);
  if (section.format != WeightFormat::raw || (!is_gain && section.exponent != 0)) return false;
  return expected.element_bytes == 0 ||
         section.bytes == (std::uint64_t{section.rows} + section.columns) * expected.element_bytes;
}

/// A section of a kind and layer that there may be has the shape and size of its kind.
Status check_shape(const Section& section, const Image& image) {
  const bool is_of_model = section.kind < SectionKind::wq;
  Expected expected;
  if (is_of_model != (section.layer == 0) || section.layer > image.config().n_layers ||
      !expected_section(expected, section.kind, image.config())) {
    return Status::image_bad_section_table;
  }
  const std::uint32_t rows =
      held_row_count(section.kind, section.layer, image.config(), image.held());
  if (section.rows != rows || section.columns != expected.columns ||
      section.block != expected.block) {
    return Status::image_bad_shape;
  }
  return has_expected_size(section, expected) ? Status::ok : Status::image_bad_shape;
}

}  // namespace

void decode_section(Section& section, std::span<const std::uint8_t> bytes) {
  section.kind = static_cast<SectionKind>(load_aligned<std::uint16_t>(bytes, 0));
  section.layer = load_aligned<std::uint16_t>(bytes, 2);
  section.offset = load_aligned<std::uint32_t>(bytes, 4);
  section.bytes = load_aligned<std::uint32_t>(bytes, 8);
  section.crc = load_aligned<std::uint32_t>(bytes, 12);
  section.rows = load_aligned<std::uint32_t>(bytes, 16);
  section.columns = load_aligned<std::uint32_t>(bytes, 20);
  section.format = static_cast<WeightFormat>(bytes[24]);
  section.block = bytes[25];
  section.exponent = static_cast<std::int8_t>(bytes[26]);
}

Status check_structure(std::uint32_t& section_count, std::span<const std::uint8_t> bytes) {
  const Status status = check_header(section_count, bytes);
  if (status != Status::ok) return status;
  std::uint64_t end = kImageHeaderBytes + std::uint64_t{section_count} * kSectionEntryBytes;
  std::uint64_t previous_key = 0;
  for (std::uint32_t i = 0; i < section_count; ++i) {
    const auto entry =
        bytes.subspan(kImageHeaderBytes + std::size_t{i} * kSectionEntryBytes, kSectionEntryBytes);
    Section section;
    decode_section(section, entry);
    const std::uint64_t key =
        std::uint64_t{section.layer} << 16 | static_cast<std::uint16_t>(section.kind);
    if (key <= previous_key || !is_zero(entry.subspan(27))) {
      return Status::image_bad_section_table;
    }
    previous_key = key;
    const std::uint64_t begin =
        (end + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
    end = std::uint64_t{section.offset} + section.bytes;
    if (end > bytes.size()) return Status::image_section_out_of_range;
    if (section.offset != begin) return Status::image_section_overlap;
  }
  return end == bytes.size() ? Status::ok : Status::image_bad_size;
}

Status decode_config(ModelConfig& config, std::span<const std::uint8_t> section) {
  if (section.empty()) return Status::image_section_missing;
  if (section.size() != kConfigSectionBytes) return Status::image_bad_config;
  ModelConfig c;
  c.dim = load<std::uint32_t>(section, 0);
  c.hidden_dim = load<std::uint32_t>(section, 4);
  c.n_layers = load<std::uint32_t>(section, 8);
  c.n_heads = load<std::uint32_t>(section, 12);
  c.n_kv_heads = load<std::uint32_t>(section, 16);
  c.head_size = load<std::uint32_t>(section, 20);
  c.vocab_size = load<std::uint32_t>(section, 24);
  c.context_length = load<std::uint32_t>(section, 28);
  c.block = load<std::uint32_t>(section, 32);
  c.residual_fraction_bits = load<std::uint32_t>(section, 36);
  c.norm_epsilon = load<std::uint64_t>(section, 40);
  if (!is_valid(c) || !is_zero(section.subspan(48))) return Status::image_bad_config;
  config = c;
  return Status::ok;
}

LayerAttentionConfig decode_attention(std::span<const std::uint8_t> section) {
  LayerAttentionConfig attention;
  if (section.empty()) return attention;
  attention.kind = static_cast<AttentionKind>(load<std::uint32_t>(section, 0));
  attention.window = load<std::uint32_t>(section, 4);
  attention.sinks = load<std::uint32_t>(section, 8);
  if (attention.kind == AttentionKind::linear) {
    attention.decays =
        reinterpret_cast<const std::uint32_t*>(section.data() + kAttentionHeaderBytes);
  }
  return attention;
}

Status check_sections(const Image& image) {
  // All are different, so that the demanded ones are there when their number is right.
  std::uint32_t demanded =
      kDemandedOfModel - (image.is_shard() ? 1 : 0) + kDemandedOfLayer * image.config().n_layers;
  const std::uint32_t kv_heads = image.held().heads.kv_count(image.config().heads_per_kv_head());
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section section = image.section(i);
    const Status status = check_shape(section, image);
    if (status != Status::ok) return status;
    const auto bytes = image.bytes().subspan(section.offset, section.bytes);
    if (section.kind == SectionKind::attention && !has_valid_attention(bytes, kv_heads)) {
      return Status::image_bad_attention;
    }
    if (!may_be_absent(section.kind, image.is_shard())) --demanded;
  }
  return demanded == 0 ? Status::ok : Status::image_section_missing;
}

Status check_contents(const Image& image) {
  const auto bytes = image.bytes();
  bool padding_is_zero = true;
  std::size_t end = kImageHeaderBytes + std::size_t{image.section_count()} * kSectionEntryBytes;
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section section = image.section(i);
    if (crc32(bytes.subspan(section.offset, section.bytes)) != section.crc) {
      return Status::image_bad_section_crc;
    }
    padding_is_zero = padding_is_zero && is_zero(bytes.subspan(end, section.offset - end));
    end = section.offset + std::size_t{section.bytes};
  }
  if (!padding_is_zero) return Status::image_bad_hash;
  Sha256 hash;
  hash.update(bytes.first(kHeaderCrcOffset));
  hash.update(std::span(kZeros).first(4));
  hash.update(bytes.subspan(kHeaderCrcOffset + 4, kContentHashOffset - kHeaderCrcOffset - 4));
  hash.update(kZeros);
  hash.update(bytes.subspan(kImageHeaderBytes));
  const auto digest = hash.finish();
  const auto stated = image.content_hash();
  return std::equal(digest.begin(), digest.end(), stated.begin()) ? Status::ok
                                                                  : Status::image_bad_hash;
}

}  // namespace mote
