// SPDX-License-Identifier: Apache-2.0
// Memory, the order of phases, and what a caller on one chip needs. The layers' arithmetic is in
// transformer_layer.cpp.
#include "mote/transformer.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "model/layer_attention.hpp"

namespace mote {
namespace {

BlockVectors take_vectors(Arena& arena, std::uint32_t batch, std::uint32_t columns,
                          std::uint32_t block) {
  BlockVectors vectors;
  vectors.columns = columns;
  vectors.block = block;
  vectors.values = arena.take<std::int8_t>(std::size_t{batch} * columns);
  vectors.scales = arena.take<Scale16>(std::size_t{batch} * (columns / block));
  return vectors;
}

/// One row of the token embedding, cut out, in bytes.
std::uint32_t embedding_row_bytes(const MatrixView& embedding) {
  const std::uint32_t factors = embedding.block_factors != nullptr ? embedding.blocks() : 0;
  return static_cast<std::uint32_t>(sizeof(Scale16)) + factors + embedding.row_bytes();
}

AttentionShape attention_shape(const ModelConfig& config, const RunConfig& run,
                               const Slice& slice) {
  const std::uint32_t group = config.heads_per_kv_head();
  const std::uint32_t kv_heads = slice.heads.kv_count(group);
  return {kv_heads * group, kv_heads, config.head_size, run.context_length};
}

constexpr bool is_within(const Range& part, const Range& whole) {
  return part.count == 0 || (part.first >= whole.first && part.end() <= whole.end());
}

bool is_within(const HeadSet& part, const HeadSet& whole) {
  for (std::uint32_t i = 0; i < part.count; ++i) {
    if (!whole.contains(part.head(i))) return false;
  }
  return true;
}

bool holds_rows(const Image& image, const Slice& slice) {
  const Slice& held = image.held();
  bool holds = is_within(slice.heads, held.heads) &&
               is_within(slice.residual_blocks, held.residual_blocks) &&
               is_within(slice.vocabulary, held.vocabulary);
  for (std::uint32_t layer = 0; layer < image.config().n_layers; ++layer) {
    holds = holds && is_within(slice.hidden(layer), held.hidden(layer));
  }
  return holds;
}

bool is_valid_run(const ModelConfig& config, const RunConfig& run) {
  return run.context_length >= 1 && run.context_length <= config.context_length && run.batch >= 1 &&
         run.batch <= kMaxBatch && run.candidates >= 1 && run.candidates <= config.vocab_size &&
         run.rows_per_call <= kMaxRowsPerCall;
}

std::uint32_t count_layers(const Image& image, AttentionKind kind) {
  std::uint32_t count = 0;
  for (std::uint32_t layer = 1; layer <= image.config().n_layers; ++layer) {
    if (image.layer_attention(layer).kind == kind) ++count;
  }
  return count;
}

/// Bytes of the states of layers 0 to `layers` - 1.
std::size_t states_bytes(const Image& image, const AttentionShape& shape, std::uint32_t layers) {
  std::size_t bytes = 0;
  for (std::uint32_t layer = 1; layer <= layers; ++layer) {
    bytes = saturating_add(bytes, LayerAttention::state_bytes(image.layer_attention(layer), shape));
  }
  return bytes;
}

/// Scores of one head, or of two that share keys and may be attended to together.
std::size_t most_scores(const Image& image, const AttentionShape& shape) {
  std::size_t most = 0;
  for (std::uint32_t layer = 1; layer <= image.config().n_layers; ++layer) {
    most = std::max<std::size_t>(
        most, LayerAttention::scratch_count(image.layer_attention(layer), shape));
  }
  return shape.n_heads > shape.n_kv_heads ? saturating_multiply(most, 2) : most;
}

}  // namespace

Transformer::Transformer() = default;

/// Lanes of one of the two halves of `rows_`: what the run allows, but no more than this chip has
/// rows for. Keys, values, gates and what they gate take a half each, other rows both.
std::size_t Transformer::lanes_per_call() const {
  const ModelConfig& c = config();
  const std::uint32_t queries = (slice_.heads.count + 1) * c.head_size;
  std::uint32_t most = std::max({queries, residual_lanes().count, slice_.vocabulary.count}) / 2 + 1;
  most = std::max(most, slice_.heads.kv_count(c.heads_per_kv_head()) * c.head_size);
  for (std::uint32_t layer = 0; layer < c.n_layers; ++layer) {
    most = std::max(most, slice_.hidden(layer).count * c.block);
  }
  most = std::min(most, run_.rows_per_call);
  return std::max<std::size_t>({c.block, c.head_size, most});
}

void Transformer::lay_out(Arena& arena) {
  const ModelConfig& c = config();
  const std::uint32_t most_blocks = std::max(
      {c.dim_padded() / c.block, c.heads_dim() / c.head_block(), c.hidden_padded() / c.block});
  const std::uint32_t lanes = std::max<std::uint32_t>(c.block, c.head_size);
  residual_ = arena.take<std::int32_t>(std::size_t{run_.batch} * residual_lanes().count);
  embedding_.row_bytes = embedding_row_bytes(image_.matrix(SectionKind::token_embedding));
  embedding_.stride = (embedding_.row_bytes + 1) / 2 * 2;
  embedding_.bytes = arena.take<std::uint8_t>(std::size_t{run_.batch} * embedding_.stride);
  input_ = take_vectors(arena, run_.batch, c.dim_padded(), c.block);
  heads_ = take_vectors(arena, run_.batch, c.heads_dim(), c.head_block());
  hidden_ = take_vectors(arena, run_.batch, c.hidden_padded(), c.block);
  final_ = take_vectors(arena, 1, c.dim_padded(), c.block);
  scales_ = arena.take<std::uint32_t>(std::size_t{run_.batch} * most_blocks);
  factors_ = arena.take<Multiplier>(run_.batch);
  rows_ = arena.take<std::int32_t>(2 * lanes_per_call());
  wide_ = arena.take<std::int64_t>(lanes);
  head_values_ = arena.take<std::int8_t>(2 * std::size_t{c.head_size});
  const AttentionShape shape = attention_shape(c, run_, slice_);
  scores_ = arena.take<std::uint32_t>(most_scores(image_, shape));
  candidates_ = arena.take<Candidate>(run_.candidates);
  const bool decays = count_layers(image_, AttentionKind::linear) != 0;
  decays_ = arena.take<std::uint32_t>(decays ? std::size_t{c.n_layers} * shape.n_kv_heads : 0);
  states_ = arena.take<std::byte>(states_bytes(image_, shape, c.n_layers));
}

std::size_t Transformer::arena_bytes(const Image& image, const RunConfig& run, const Slice& slice) {
  Transformer measured;
  measured.image_ = image;
  measured.run_ = run;
  measured.slice_ = slice;
  Arena arena;
  measured.lay_out(arena);
  return arena.used_bytes();
}

std::size_t Transformer::state_bytes(const Image& image, const RunConfig& run, const Slice& slice) {
  const ModelConfig& c = image.config();
  return states_bytes(image, attention_shape(c, run, slice), c.n_layers);
}

Status Transformer::init(const Image& image, const RunConfig& run, std::span<std::byte> memory,
                         const Slice& slice) {
  if (!is_valid_run(image.config(), run)) return Status::bad_run_config;
  if (!holds_rows(image, slice)) return Status::wrong_shard;
  Transformer next;
  next.image_ = image;
  next.run_ = run;
  next.slice_ = slice;
  Arena arena(memory);
  if (!arena.is_aligned()) return Status::arena_misaligned;
  next.lay_out(arena);
  if (arena.is_exhausted()) return Status::arena_too_small;
  // Lanes of padding stay zero for ever: no phase writes them.
  std::fill(next.input_.values.begin(), next.input_.values.end(), std::int8_t{0});
  std::fill(next.hidden_.values.begin(), next.hidden_.values.end(), std::int8_t{0});
  std::fill(next.final_.values.begin(), next.final_.values.end(), std::int8_t{0});
  next.fill_decays();
  constexpr std::uint32_t kEndless = 0xffffffffU;
  next.position_limit_ =
      count_layers(image, AttentionKind::causal) != 0 ? run.context_length : kEndless;
  *this = next;
  reset();
  return Status::ok;
}

/// Those of the own K/V heads side by side, which in the image they need not be.
void Transformer::fill_decays() {
  const std::uint32_t kv_heads = slice_.heads.kv_count(config().heads_per_kv_head());
  for (std::uint32_t layer = 0; layer < config().n_layers; ++layer) {
    const LayerAttentionConfig attention = image_.layer_attention(layer + 1);
    if (attention.decays == nullptr) continue;
    for (std::uint32_t i = 0; i < kv_heads; ++i) {
      decays_[std::size_t{layer} * kv_heads + i] = attention.decays[held_kv_index(i)];
    }
  }
}

LayerAttention Transformer::layer_attention(std::uint32_t layer) {
  const AttentionShape shape = attention_shape(config(), run_, slice_);
  LayerAttentionConfig attention = image_.layer_attention(layer + 1);
  const std::size_t begin = states_bytes(image_, shape, layer);
  const std::size_t bytes = LayerAttention::state_bytes(attention, shape);
  if (attention.decays != nullptr) {
    attention.decays = decays_.data() + std::size_t{layer} * shape.n_kv_heads;
  }
  return {attention, shape, states_.subspan(begin, bytes)};
}

Status Transformer::decode(std::span<const std::uint32_t> tokens) {
  if (tokens.size() > position_limit_ - position_) return Status::context_full;
  const bool known = std::ranges::all_of(
      tokens, [this](std::uint32_t token) { return token < config().vocab_size; });
  if (!known) return Status::token_out_of_range;
  while (!tokens.empty()) {
    const std::size_t count = std::min<std::size_t>(tokens.size(), run_.batch);
    begin(tokens.first(count), count == tokens.size());
    while (phase_.exchange != Exchange::candidates) {
      compute();
      advance();
    }
    tokens = tokens.subspan(count);
  }
  return Status::ok;
}

void Transformer::reset() {
  for (std::uint32_t layer = 0; layer < config().n_layers; ++layer) {
    layer_attention(layer).reset();
  }
  position_ = 0;
  count_ = 0;
}

Status Transformer::rewind(std::uint32_t position) {
  MOTE_ASSERT(position <= position_);
  if (position == 0) {
    reset();
    return Status::ok;
  }
  const bool forgets = count_layers(image_, AttentionKind::causal) != config().n_layers;
  if (position != position_ && forgets) return Status::cannot_rewind;
  position_ = position;
  count_ = 0;
  return Status::ok;
}

void Transformer::begin(std::span<const std::uint32_t> tokens, bool with_logits) {
  MOTE_ASSERT(!tokens.empty() && tokens.size() <= run_.batch);
  MOTE_ASSERT(tokens.size() <= position_limit_ - position_);
  tokens_ = tokens;
  with_logits_ = with_logits;
  count_ = static_cast<std::uint32_t>(tokens.size());
  phase_ = {Exchange::embed, 0};
}

void Transformer::compute() {
  switch (phase_.exchange) {
    case Exchange::embed:
      return copy_embedding_rows();
    case Exchange::attention_input:
    case Exchange::ffn_input:
    case Exchange::final_input:
      return compute_residual_blocks();
    case Exchange::heads:
      return compute_heads();
    case Exchange::hidden:
      return compute_hidden();
    case Exchange::candidates:
      return;
  }
}

Phase Transformer::next_phase(const ModelConfig& config, Phase phase, bool with_logits) {
  switch (phase.exchange) {
    case Exchange::embed:
    case Exchange::attention_input:
      return {Exchange::heads, phase.layer};
    case Exchange::heads:
      return {Exchange::ffn_input, phase.layer};
    case Exchange::ffn_input:
      return {Exchange::hidden, phase.layer};
    case Exchange::hidden:
      if (phase.layer + 1 < config.n_layers) return {Exchange::attention_input, phase.layer + 1};
      return {with_logits ? Exchange::final_input : Exchange::candidates, 0};
    case Exchange::final_input:
    case Exchange::candidates:
      break;
  }
  return {Exchange::candidates, 0};
}

void Transformer::advance() {
  MOTE_ASSERT(phase_.exchange != Exchange::candidates);
  switch (phase_.exchange) {
    case Exchange::embed:
      take_embedding_rows();
      break;
    case Exchange::heads:
      add_projection(layer_projection(SectionKind::wo), heads_);
      break;
    case Exchange::hidden:
      add_projection(layer_projection(SectionKind::w_down), hidden_);
      break;
    case Exchange::final_input:
      apply_final_gains();
      break;
    default:
      break;
  }
  phase_ = next_phase(config(), phase_, with_logits_);
  if (phase_.exchange == Exchange::candidates) position_ += count_;
}

Range Transformer::exchange_positions(Exchange exchange) const {
  return exchange == Exchange::final_input ? Range{count_ - 1, 1} : Range{0, count_};
}

const BlockVectors& Transformer::vectors(Exchange exchange) const {
  switch (exchange) {
    case Exchange::heads:
      return heads_;
    case Exchange::hidden:
      return hidden_;
    default:
      return input_;
  }
}

}  // namespace mote
