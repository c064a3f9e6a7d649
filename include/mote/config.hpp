// SPDX-License-Identifier: Apache-2.0
// The shape of a model and of a run.
#pragma once

#include <cstdint>

namespace mote {

/// Largest shapes that the arithmetic is proved for (docs/NUMERICS.md).
inline constexpr std::uint32_t kMaxDim = 4096;
inline constexpr std::uint32_t kMaxHiddenDim = 65536;
inline constexpr std::uint32_t kMaxHeadSize = 256;
inline constexpr std::uint32_t kMaxHeads = 4096;
inline constexpr std::uint32_t kMaxHeadsDim = 65536;
inline constexpr std::uint32_t kMaxLayers = 256;
inline constexpr std::uint32_t kMaxContext = 65536;
inline constexpr std::uint32_t kMaxVocabulary = 1U << 20;
inline constexpr std::uint32_t kMaxBlock = 64;

/// How a layer attends to earlier positions (docs/ATTENTION.md).
enum class AttentionKind : std::uint32_t {
  causal = 0,          // all of them
  sliding_window = 1,  // the last ones, and the first
  linear = 2,          // a running sum of all of them
};

inline constexpr std::uint32_t kMaxSinks = 64;

/// The attention of one layer.
struct LayerAttentionConfig {
  AttentionKind kind = AttentionKind::causal;
  /// sliding_window: positions that are seen, the present one included; 1 to kMaxContext - sinks.
  std::uint32_t window = 0;
  /// sliding_window: first positions that are seen for ever; 0 to kMaxSinks.
  std::uint32_t sinks = 0;
  /// linear: what the sums keep from one position to the next, in Q16, 1 to 65536 (all).
  const std::uint32_t* decays = nullptr;  // (n_kv_heads)
};

/// A Llama-shaped model. It is part of the image, and valid once `Image::open` has succeeded.
struct ModelConfig {
  std::uint32_t dim = 0;
  std::uint32_t hidden_dim = 0;
  std::uint32_t n_layers = 0;
  std::uint32_t n_heads = 0;
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t vocab_size = 0;
  /// Positions that the model was trained on.
  std::uint32_t context_length = 0;
  /// G: lanes of a block of int8 activations (16, 32 or 64).
  std::uint32_t block = 0;
  /// Fraction bits of the residual stream.
  std::uint32_t residual_fraction_bits = 0;
  /// dim * epsilon of RMSNorm, in units of 2^-44.
  std::uint64_t norm_epsilon = 0;

  /// Lanes of a block of the attention output: blocks never span two heads.
  constexpr std::uint32_t head_block() const {
    const std::uint32_t lowest_bit = head_size & (~head_size + 1U);
    return lowest_bit < block ? lowest_bit : block;
  }
  constexpr std::uint32_t dim_padded() const { return (dim + block - 1) / block * block; }
  constexpr std::uint32_t hidden_padded() const { return (hidden_dim + block - 1) / block * block; }
  constexpr std::uint32_t heads_dim() const { return n_heads * head_size; }
  constexpr std::uint32_t kv_dim() const { return n_kv_heads * head_size; }
  /// Query heads that read one K/V head.
  constexpr std::uint32_t heads_per_kv_head() const { return n_heads / n_kv_heads; }
};

/// The ranges of SPEC.md, "Config".
constexpr bool is_valid(const ModelConfig& c) {
  const auto within = [](std::uint64_t value, std::uint64_t low, std::uint64_t high) {
    return low <= value && value <= high;
  };
  return within(c.dim, 2, kMaxDim) && c.dim % 2 == 0 && within(c.hidden_dim, 1, kMaxHiddenDim) &&
         within(c.n_layers, 1, kMaxLayers) && within(c.n_heads, 1, kMaxHeads) &&
         within(c.n_kv_heads, 1, c.n_heads) && c.n_heads % c.n_kv_heads == 0 &&
         within(c.head_size, 2, kMaxHeadSize) && c.head_size % 2 == 0 &&
         std::uint64_t{c.n_heads} * c.head_size <= kMaxHeadsDim &&
         within(c.vocab_size, 1, kMaxVocabulary) && within(c.context_length, 1, kMaxContext) &&
         (c.block == 16 || c.block == 32 || c.block == 64) &&
         within(c.residual_fraction_bits, 8, 20) && c.norm_epsilon <= std::uint64_t{1} << 40;
}

/// What the caller chooses when it starts a model.
struct RunConfig {
  /// Positions of the KV cache; 1 to the model's context length.
  std::uint32_t context_length = 0;
  /// Positions that one pass carries during prompt processing; 1 to `kMaxBatch`.
  std::uint32_t batch = 1;
  /// Candidates kept for the sampler: its top-k, 1 for greedy; at most the vocabulary.
  std::uint32_t candidates = 1;
  /// Room for results of a kernel's calls, in rows of each of two matrices, to kMaxRowsPerCall:
  /// more take more memory, 8 bytes each, and less time where calls or weights are dear. Never less
  /// than a block or a head, nor more than the chip's slice has rows for.
  std::uint32_t rows_per_call = 96;
};

inline constexpr std::uint32_t kMaxBatch = 64;
inline constexpr std::uint32_t kMaxRowsPerCall = 65536;

}  // namespace mote
