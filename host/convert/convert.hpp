// SPDX-License-Identifier: Apache-2.0
// From a checkpoint and a vocabulary to an image.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "convert/checkpoint.hpp"
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

struct ConvertOptions {
  WeightFormat weights = WeightFormat::int8;
  std::uint32_t block = 32;  // G: 16, 32 or 64
  std::uint32_t residual_fraction_bits = 16;
  std::uint32_t context_length = 0;  // positions, 1 to 65536; 0: what the checkpoint says
  /// One for each layer; empty: all causal.
  std::vector<LayerAttention> attention;
  /// Written as metadata. Values hold no line feed.
  std::string name;
  std::string license;
  std::string source;
  std::string chat_template;  // empty: none
  std::string chat_system;    // what a conversation begins with where it says nothing else
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
};

struct ConvertReport {
  std::vector<TensorReport> tensors;
  std::uint64_t image_bytes = 0;
  double relative_rms_error = 0;  // over all matrices
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
