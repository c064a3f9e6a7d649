// SPDX-License-Identifier: Apache-2.0
// A Llama-shaped decoder as a sequence of phases over the rows that this chip owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/arena.hpp"
#include "mote/attention.hpp"
#include "mote/config.hpp"
#include "mote/image.hpp"
#include "mote/sampler.hpp"
#include "mote/scale.hpp"
#include "mote/slice.hpp"
#include "mote/status.hpp"

namespace mote {

struct ActivationView;
class LayerAttention;

/// The points of a pass at which chips exchange what they computed. On one chip nothing travels.
enum class Exchange : std::uint8_t {
  embed,            // the token's embedding row, as it stands in the image
  attention_input,  // residual: int8 blocks, scales; not of layer 0, whose input all chips know
  heads,            // attention output: int8 blocks of head_block lanes, scales
  ffn_input,        // as attention_input
  hidden,           // silu(gate) * up: int8 blocks, scales
  final_input,      // as attention_input, of the last position
  candidates,       // the best logits
};

struct Phase {
  Exchange exchange = Exchange::embed;
  std::uint32_t layer = 0;
};

/// The vector of one exchange for each position of a batch, whole: own blocks are computed into it,
/// those of other chips are copied into it. Real lane = value * scale * 2^-28.
struct BlockVectors {
  std::span<std::int8_t> values;  // (batch, columns)
  std::span<Scale16> scales;      // (batch, columns / block)
  std::uint32_t columns = 0;
  std::uint32_t block = 0;

  std::int8_t* row(std::uint32_t position) const {
    return &values[std::size_t{position} * columns];
  }
  Scale16* row_scales(std::uint32_t position) const {
    return &scales[std::size_t{position} * (columns / block)];
  }
};

/// Embedding rows of a batch as bytes: Scale16 of the row, block factors where weights are int4,
/// the weights. One row of the image's matrix, cut out.
struct EmbeddingRows {
  std::span<std::uint8_t> bytes;  // (batch, stride)
  std::uint32_t row_bytes = 0;
  std::uint32_t stride = 0;  // row_bytes rounded up to an even number

  std::span<std::uint8_t> row(std::uint32_t position) const {
    return bytes.subspan(std::size_t{position} * stride, row_bytes);
  }
};

/// The forward pass over one slice. It knows no network: between `compute` and `advance` the caller
/// makes the vector of the current exchange whole.
class Transformer {
 public:
  Transformer();

  /// Bytes of arena that `init` takes, exactly.
  static std::size_t arena_bytes(const Image& image, const RunConfig& run, const Slice& slice);
  static std::size_t arena_bytes(const Image& image, const RunConfig& run) {
    return arena_bytes(image, run, Slice::whole(image.config()));
  }
  /// The part of it that remembers earlier positions: keys and values, or sums.
  static std::size_t state_bytes(const Image& image, const RunConfig& run, const Slice& slice);

  /// `image` is open and outlives this. Fails with `bad_run_config`, `arena_too_small`,
  /// `arena_misaligned`, or `wrong_shard` where the image lacks rows of the slice, and then takes
  /// nothing.
  Status init(const Image& image, const RunConfig& run, std::span<std::byte> arena,
              const Slice& slice);
  Status init(const Image& image, const RunConfig& run, std::span<std::byte> arena) {
    return init(image, run, arena, Slice::whole(image.config()));
  }

  /// Runs `tokens` (any number) through the model at the positions that follow. Afterwards
  /// `candidates` or `logits` speak of the last of them. `context_full` where they do not fit and
  /// `token_out_of_range` where one is no token; then nothing has changed.
  Status decode(std::span<const std::uint32_t> tokens);

  /// The best candidates after the last token, best first; `sampler` penalises repetitions.
  std::span<const Candidate> candidates(Sampler& sampler);
  /// All logits after the last token. // (vocab_size), Q16
  void logits(std::span<std::int32_t> out);

  /// Positions that hold a token.
  std::uint32_t position() const { return position_; }
  /// Positions that there may be: the run's context length, or no bound worth naming where no layer
  /// is causal.
  std::uint32_t position_limit() const { return position_limit_; }
  /// Forgets all tokens. After it, `candidates` and `logits` need a `decode`.
  void reset();
  /// Forgets the tokens from `position` on, likewise. `cannot_rewind` where a layer is not causal,
  /// unless `position` is the present one or 0; then nothing has changed.
  Status rewind(std::uint32_t position);
  const ModelConfig& config() const { return image_.config(); }
  const RunConfig& run_config() const { return run_; }

  // The phases, for a caller that carries blocks between chips.

  /// Begins a pass over 1 to batch tokens, checked by the caller; they must stay until its end.
  /// Without `with_logits` it ends after the last layer, and neither `candidates` nor `logits` may
  /// follow: what all batches of a prompt but the last need.
  void begin(std::span<const std::uint32_t> tokens, bool with_logits = true);
  /// `candidates` after the end of a pass.
  Phase phase() const { return phase_; }
  /// The order of phases: the one after `phase`, which is not `candidates`.
  static Phase next_phase(const ModelConfig& config, Phase phase, bool with_logits);
  /// Computes this chip's blocks of the current exchange, up to final_input.
  void compute();
  /// Moves on once the vector of the current exchange is whole.
  void advance();
  /// Positions of the batch that an exchange carries: the last for final_input, else all.
  Range exchange_positions(Exchange exchange) const;
  /// The vector of an exchange other than embed and candidates. Consecutive exchanges have
  /// different memory.
  const BlockVectors& vectors(Exchange exchange) const;
  const EmbeddingRows& embedding_rows() const { return embedding_; }
  const Slice& slice() const { return slice_; }

 private:
  struct Projection {
    MatrixView weights;
    const std::int32_t* biases = nullptr;  // (rows) in the unit of the product; null for none
  };
  struct HeadProjections {
    Projection query;
    Projection key;
    Projection value;
  };

  std::size_t lanes_per_call() const;
  void lay_out(Arena& arena);
  void fill_decays();
  Projection layer_projection(SectionKind kind) const;
  std::span<std::int32_t> residual(std::uint32_t index);
  Range residual_lanes() const;

  void copy_embedding_rows();
  void take_embedding_rows();
  void compute_residual_blocks();
  void quantize_residual(std::uint32_t index, std::uint32_t block,
                         std::span<const std::int32_t> lanes);
  void compute_heads();
  std::uint32_t heads_per_call(std::uint32_t count, std::size_t lanes) const;
  std::uint32_t held_kv_index(std::uint32_t index) const;
  std::span<std::int8_t> own_room(Range own, std::uint32_t index);
  void store_keys_values(LayerAttention& attention, const HeadProjections& weights, Range own,
                         std::span<std::int8_t> room, std::uint32_t index);
  void attend_heads(LayerAttention& attention, const Projection& wq, Range own,
                    std::uint32_t index);
  void attend_head(LayerAttention& attention, std::span<std::int32_t> lanes, std::uint32_t head,
                   std::uint32_t index);
  void attend_heads_together(const LayerAttention& attention, std::span<std::int32_t> lanes,
                             std::uint32_t head, std::uint32_t index);
  std::uint32_t own_head(std::uint32_t head) const;
  std::uint32_t heads_together(const LayerAttention& attention, std::uint32_t head,
                               std::size_t lanes, std::uint32_t position) const;
  void compute_hidden();
  void add_projection(const Projection& projection, const BlockVectors& input);

  void take_input(const BlockVectors& vectors, std::uint32_t positions);
  void take_normalized_input(Range positions);
  void apply_final_gains();
  ActivationView input_view(std::uint32_t index) const;
  void project(std::span<std::int32_t> out, const Projection& projection, std::uint32_t row,
               std::uint32_t index, int fraction_bits);
  std::span<std::int64_t> widen(std::span<const std::int32_t> lanes);
  void quantize_lanes(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> lanes,
                      std::uint32_t block, Multiplier unit);
  void quantize_turned(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                       const LayerAttention& attention, int drop);
  void turn(std::span<std::int32_t> heads, const LayerAttention& attention, std::uint32_t position);
  LayerAttention layer_attention(std::uint32_t layer);
  template <typename Visit>
  void visit_logits(Visit visit);

  Image image_;
  RunConfig run_;
  Slice slice_;
  Phase phase_;
  std::uint32_t position_ = 0;  // of the first token of the batch
  std::uint32_t count_ = 0;     // tokens of the batch
  std::uint32_t position_limit_ = 0;
  bool with_logits_ = true;
  std::span<const std::uint32_t> tokens_;

  std::span<std::int32_t> residual_;     // (batch, own lanes), Q residual_fraction_bits
  EmbeddingRows embedding_;              // (batch)
  BlockVectors input_;                   // (batch, dim)
  BlockVectors heads_;                   // (batch, n_heads * head_size)
  BlockVectors hidden_;                  // (batch, hidden_dim)
  BlockVectors final_;                   // (1, dim) the last position of input_ with its gains
  const BlockVectors* taken_ = nullptr;  // the vectors that the kernels read now
  Multiplier final_factor_;              // of the final norm, at the last position
  std::span<std::uint32_t> scales_;      // (batch, blocks) aligned scales of `taken_`
  std::span<Multiplier> factors_;        // (batch) common factors of `taken_`
  std::span<std::int32_t> rows_;  // (2, lanes) results of one matrix or two, a copy of a query
  std::span<std::int64_t> wide_;  // (lanes) the same before rounding to int8
  std::span<std::int8_t> head_values_;  // (2, head_size) two queries, or a key and a value
  std::span<std::uint32_t> scores_;     // (positions that a layer attends to at most) of two heads,
                                        // if they share keys
  std::span<Candidate> candidates_;     // (candidates)
  std::span<std::uint32_t> decays_;     // (layers, own K/V heads); empty without linear layers
  std::span<std::byte> states_;         // of all layers, one after another
};

}  // namespace mote
