// SPDX-License-Identifier: Apache-2.0
// The model image (`.mote`): validated once, then used in place. SPEC.md states every bit.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "mote/config.hpp"
#include "mote/matrix.hpp"
#include "mote/scale.hpp"
#include "mote/slice.hpp"
#include "mote/status.hpp"

namespace mote {

inline constexpr std::array<std::uint8_t, 8> kImageMagic = {'M',  'O',  'T',  'E',
                                                            0x0d, 0x0a, 0x1a, 0x0a};
inline constexpr std::uint16_t kImageVersion = 1;
/// Every section begins at a multiple of this many bytes, in the file and so in memory.
inline constexpr std::uint32_t kSectionAlignment = 32;
inline constexpr std::uint32_t kImageHeaderBytes = 64;
inline constexpr std::uint32_t kSectionEntryBytes = 32;
inline constexpr std::uint32_t kConfigSectionBytes = 64;
/// Of the attention section, before the decays.
inline constexpr std::uint32_t kAttentionHeaderBytes = 16;
/// Of the shard section, before the hidden ranges; and of each of these.
inline constexpr std::uint32_t kShardHeaderBytes = 144;
inline constexpr std::uint32_t kShardRangeBytes = 8;

/// Sections of the whole model have layer 0; those of layer l have layer l + 1. The table is
/// sorted by (layer, kind).
enum class SectionKind : std::uint16_t {
  config = 1,
  metadata = 2,
  tokenizer = 3,
  rope_frequencies = 4,
  token_embedding = 5,
  classifier = 6,  // absent where the token embedding serves
  final_norm = 7,
  shard = 8,  // absent where the image holds the whole model
  wq = 17,
  wk = 18,
  wv = 19,
  wo = 20,
  w_gate = 22,
  w_up = 23,
  w_down = 24,
  attention = 25,  // absent where the layer is causal
  bq = 26,         // biases of wq, wk, wv and wo; absent where there are none
  bk = 27,
  bv = 28,
  bo = 29,
};

/// bq, bk, bv and bo follow one another as wq, wk, wv and wo do.
constexpr bool is_bias(SectionKind kind) {
  return kind >= SectionKind::bq && kind <= SectionKind::bo;
}
inline constexpr unsigned kBiasKindStep = 9;
/// The kind of the biases that belong to a matrix of kind wq, wk, wv or wo; and back.
constexpr SectionKind bias_kind(SectionKind matrix) {
  return static_cast<SectionKind>(static_cast<unsigned>(matrix) + kBiasKindStep);
}
constexpr SectionKind biased_kind(SectionKind bias) {
  return static_cast<SectionKind>(static_cast<unsigned>(bias) - kBiasKindStep);
}
static_assert(bias_kind(SectionKind::wq) == SectionKind::bq);
static_assert(biased_kind(SectionKind::bo) == SectionKind::wo);

/// Fraction bits of bq, bk and bv, and of the projections that they are added to: range +-2048.
inline constexpr int kProjectionFractionBits = 20;

/// One row of the section table, decoded.
struct Section {
  SectionKind kind{};
  std::uint16_t layer = 0;
  std::uint32_t offset = 0;  // bytes from the beginning of the image
  std::uint32_t bytes = 0;
  std::uint32_t crc = 0;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  WeightFormat format = WeightFormat::raw;
  std::uint8_t block = 0;    // lanes of an activation block along the columns
  std::int8_t exponent = 0;  // unit of the row scales or of the gains: 2^exponent
};

/// What a shard says of itself. What it refers to are the image's bytes.
struct ShardInfo {
  std::uint32_t rank = 0;
  std::uint32_t chips = 1;
  HeadPolicy policy = HeadPolicy::contiguous;
  std::span<const std::uint8_t> weights;  // (chips) relative speeds
  std::span<const std::uint8_t> model;    // (32) content hash of the whole image; empty in it
  Slice slice;
};

/// Where the three parts of a weight section lie; the order is scales, factors, weights.
struct MatrixLayout {
  std::uint64_t factors_offset = 0;  // from the beginning of the section
  std::uint64_t weights_offset = 0;
  std::uint64_t bytes = 0;
};
/// Of `rows` rows of `columns` lanes, which are padded to whole blocks. // block a power of two
MatrixLayout matrix_layout(std::uint64_t rows, std::uint64_t columns, std::uint32_t block,
                           WeightFormat format);

/// How much of an image `open` reads.
enum class Verify : std::uint8_t {
  structure,  // header, section table, configuration; the time does not depend on the size
  full,       // also the checksum of each section and the content hash
};

/// A view of an image. It owns nothing: the bytes must outlive it and stay unchanged.
class Image {
 public:
  Image();

  /// Validates `bytes` and points into them. `bytes` must begin at a multiple of
  /// `kSectionAlignment`. On failure the view is unchanged. The tokenizer's contents are checked by
  /// `Tokenizer::open`; a shard may have none.
  Status open(std::span<const std::uint8_t> bytes, Verify verify = Verify::full);

  /// Whether each section still has its checksum: `image_bad_section_crc` where one does not.
  Status verify() const;

  const ModelConfig& config() const { return config_; }
  std::span<const std::uint8_t> bytes() const { return bytes_; }
  /// SHA-256 over the file; its identity.
  std::span<const std::uint8_t, 32> content_hash() const;

  /// True where the image holds one chip's part of a model.
  bool is_shard() const { return !shard_.model.empty(); }
  /// What a shard says of itself; rank 0 of 1, of weight 1, where the image is whole.
  const ShardInfo& shard() const { return shard_; }
  /// The rows that the image holds: every matrix has these alone, in rising order. Of wk, wv and
  /// the decays it has the K/V heads of `held().heads`.
  const Slice& held() const { return shard_.slice; }
  /// The content hash of the whole model: that of a shard's origin, or the image's own.
  std::span<const std::uint8_t, 32> model_hash() const {
    return is_shard() ? shard_.model.first<32>() : content_hash();
  }

  std::uint32_t section_count() const { return section_count_; }
  /// `index` < section_count().
  Section section(std::uint32_t index) const;
  /// False where the image has no such section.
  bool find(Section& section, SectionKind kind, std::uint32_t layer) const;
  /// The bytes of a section; empty where the image has none.
  std::span<const std::uint8_t> section_bytes(SectionKind kind, std::uint32_t layer = 0) const;

  /// The matrix of `kind`; `layer` counts from 1, 0 for the embedding and the classifier. The
  /// classifier is the token embedding where the image has no other.
  MatrixView matrix(SectionKind kind, std::uint32_t layer = 0) const;
  GainsView gains(SectionKind kind, std::uint32_t layer = 0) const;
  /// What is added to each row of the matrix of `kind`, one of wq, wk, wv (in units of
  /// 2^-kProjectionFractionBits) and wo (in the unit of the residual stream); null where nothing
  /// is. `layer` counts from 1. // (rows of the matrix)
  const std::int32_t* biases(SectionKind kind, std::uint32_t layer) const;
  /// How a layer attends; `layer` counts from 1. The decays are those of the K/V heads that the
  /// image holds.
  LayerAttentionConfig layer_attention(std::uint32_t layer) const;
  /// Turns per position as a fraction of 2^32. // (head_size / 2)
  const std::uint32_t* rope_frequencies() const;
  /// UTF-8 lines `key=value`.
  std::string_view metadata() const;

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint32_t section_count_ = 0;
  ModelConfig config_;
  ShardInfo shard_;
};

}  // namespace mote
