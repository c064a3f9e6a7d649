// SPDX-License-Identifier: Apache-2.0
// From a checkpoint and a vocabulary to an image.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convert/checkpoint.hpp"
#include "convert/matrix_section.hpp"
#include "convert/vocabulary.hpp"
#include "mote/image.hpp"

namespace mote::host {

/// The attention of one layer, as LayerAttentionConfig but with its own decays.
struct LayerAttention {
  AttentionKind kind = AttentionKind::causal;
  std::uint32_t window = 0;
  std::uint32_t sinks = 0;
  std::vector<std::uint32_t> decays;  // (n_kv_heads), linear only
};

/// A matrix that is rounded already.
struct RoundedMatrix {
  WeightFormat format = WeightFormat::int4;
  EncodedTensor encoded;  // a whole section of that format
};
/// Kind and layer of a section.
using SectionName = std::pair<SectionKind, std::uint32_t>;
using RoundedMatrices = std::map<SectionName, RoundedMatrix>;

struct ConvertOptions {
  WeightFormat weights = WeightFormat::int8;
  std::uint32_t block = 32;  // G: 16, 32 or 64
  std::uint32_t residual_fraction_bits = 16;
  std::uint32_t context_length = 0;  // positions, 1 to 65536; 0: what the checkpoint says
  /// Formats of single matrices, whatever `weights` says.
  std::map<SectionName, WeightFormat> formats = {};
  /// Matrices whose bytes are these, in the format that they would have anyway.
  RoundedMatrices rounded = {};
  /// One for each layer; empty: all causal.
  std::vector<LayerAttention> attention;
  /// Written as metadata. Values hold no line feed.
  std::string name;
  std::string license;
  std::string source;
  std::string chat_template;  // empty: none
  std::string chat_system;    // what a conversation begins with where it says nothing else
};

/// What calibration says of one matrix. The errors are of its products with the vectors of the
/// calibration text, sqrt(sum (p - p')^2 / sum p^2).
struct TensorCalibration {
  double product_error = 0;
  double plain_product_error = 0;  // of plain rounding to the same format
  double int8_gain = 0;            // nats a token that int8 would take off; mixed weights only
};

/// What rounding did to one tensor.
struct TensorReport {
  std::string name;  // "layers.0.wq"
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  WeightFormat format = WeightFormat::raw;
  std::uint64_t bytes = 0;        // of the section
  double relative_rms_error = 0;  // sqrt(sum (w - w')^2 / sum w^2)
  double largest_error = 0;       // max |w - w'|
  std::optional<TensorCalibration> calibration = {};
};

/// What calibration did to the whole model. Perplexities are those of the engine on a part of the
/// calibration text, which says how the three compare, not how good the model is.
struct CalibrationSummary {
  std::uint64_t tokens = 0;           // of the text
  std::uint64_t measured_tokens = 0;  // of the part
  double int8_perplexity = 0;         // all matrices int8, the reference
  double plain_perplexity = 0;        // the same formats, plain rounding
  double perplexity = 0;              // the image that was written
  /// Kullback-Leibler divergence from the exact model on passages that tuning did not see, nats a
  /// token, before and after tuning; 0 without tuning.
  double divergence_before = 0;
  double divergence_after = 0;
  /// Bits a weight: all bytes of the matrices' sections, with scales, factors and padding.
  double bits_per_weight = 0;
};

struct ConvertReport {
  std::vector<TensorReport> tensors;
  std::uint64_t image_bytes = 0;
  double relative_rms_error = 0;  // over all matrices
  std::optional<CalibrationSummary> calibration = {};
};

/// Called with rows done and rows in all.
using ConvertProgress = std::function<void(std::uint64_t, std::uint64_t)>;

/// Writes the image to `out_path` (first to a temporary file beside it, renamed when complete).
/// Memory stays below two tensors. Throws `Error` where the shape has no image (SPEC.md's ranges),
/// a weight is not finite, or the file cannot be written.
ConvertReport convert_checkpoint(const std::string& out_path, const Checkpoint& checkpoint,
                                 const Vocabulary& vocabulary, const ConvertOptions& options,
                                 const ConvertProgress& progress = {});

}  // namespace mote::host
