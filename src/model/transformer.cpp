// SPDX-License-Identifier: Apache-2.0
// Memory, the order of phases, and what a caller on one chip needs. The layers' arithmetic is in
// transformer_layer.cpp.
#include "mote/transformer.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace mote {
namespace {

BlockVectors take_vectors(Arena& arena, std::uint32_t batch, std::uint32_t columns,
                          std::uint32_t block, bool is_normalized) {
  BlockVectors vectors;
  vectors.columns = columns;
  vectors.block = block;
  vectors.values = arena.take<std::int8_t>(std::size_t{batch} * columns);
  vectors.scales = arena.take<Scale16>(std::size_t{batch} * (columns / block));
  if (is_normalized) vectors.sum_squares = arena.take<std::uint64_t>(batch);
  return vectors;
}

/// K/V heads that the query heads of a slice read.
std::uint32_t kv_heads_of(const ModelConfig& config, const Range& heads) {
  if (heads.count == 0) return 0;
  const std::uint32_t group = config.heads_per_kv_head();
  return (heads.end() - 1) / group - heads.first / group + 1;
}

AttentionShape attention_shape(const ModelConfig& config, const RunConfig& run,
                               const Slice& slice) {
  const std::uint32_t kv_heads = kv_heads_of(config, slice.heads);
  return {kv_heads * config.heads_per_kv_head(), kv_heads, config.head_size, run.context_length};
}

bool is_valid_run(const ModelConfig& config, const RunConfig& run) {
  return run.context_length >= 1 && run.context_length <= config.context_length && run.batch >= 1 &&
         run.batch <= kMaxBatch && run.candidates >= 1 && run.candidates <= config.vocab_size;
}

}  // namespace

void Transformer::lay_out(Arena& arena, const ModelConfig& c) {
  const std::uint32_t most_blocks = std::max(
      {c.dim_padded() / c.block, c.heads_dim() / c.head_block(), c.hidden_padded() / c.block});
  const std::uint32_t lanes = std::max<std::uint32_t>(c.block, c.head_size);
  residual_ = arena.take<std::int32_t>(std::size_t{run_.batch} * residual_lanes(c).count);
  input_ = take_vectors(arena, run_.batch, c.dim_padded(), c.block, true);
  heads_ = take_vectors(arena, run_.batch, c.heads_dim(), c.head_block(), false);
  hidden_ = take_vectors(arena, run_.batch, c.hidden_padded(), c.block, false);
  scales_ = arena.take<std::uint32_t>(std::size_t{run_.batch} * most_blocks);
  factors_ = arena.take<Multiplier>(run_.batch);
  rows_ = arena.take<std::int32_t>(2 * std::size_t{lanes});
  wide_ = arena.take<std::int64_t>(lanes);
  head_values_ = arena.take<std::int8_t>(2 * std::size_t{c.head_size});
  scores_ = arena.take<std::uint32_t>(run_.context_length);
  candidates_ = arena.take<Candidate>(run_.candidates);
  kv_cache_ = arena.take<std::byte>(c.n_layers *
                                    CausalAttention::state_bytes(attention_shape(c, run_, slice_)));
}

std::size_t Transformer::arena_bytes(const ModelConfig& config, const RunConfig& run,
                                     const Slice& slice) {
  Transformer measured;
  measured.run_ = run;
  measured.slice_ = slice;
  Arena arena;
  measured.lay_out(arena, config);
  return arena.used_bytes();
}

Status Transformer::init(const Image& image, const RunConfig& run, std::span<std::byte> memory,
                         const Slice& slice) {
  if (!is_valid_run(image.config(), run)) return Status::bad_run_config;
  Transformer next;
  next.image_ = image;
  next.run_ = run;
  next.slice_ = slice;
  Arena arena(memory);
  if (!arena.is_aligned()) return Status::arena_misaligned;
  next.lay_out(arena, image.config());
  if (arena.is_exhausted()) return Status::arena_too_small;
  // Lanes of padding stay zero for ever: no phase writes them.
  std::fill(next.input_.values.begin(), next.input_.values.end(), std::int8_t{0});
  std::fill(next.hidden_.values.begin(), next.hidden_.values.end(), std::int8_t{0});
  *this = next;
  return Status::ok;
}

CausalAttention Transformer::layer_attention() {
  const std::size_t bytes = kv_cache_.size() / config().n_layers;
  return {attention_shape(config(), run_, slice_), kv_cache_.subspan(phase_.layer * bytes, bytes)};
}

Status Transformer::decode(std::span<const std::uint32_t> tokens) {
  if (tokens.size() > run_.context_length - position_) return Status::context_full;
  const bool known = std::all_of(tokens.begin(), tokens.end(), [this](std::uint32_t token) {
    return token < config().vocab_size;
  });
  if (!known) return Status::token_out_of_range;
  while (!tokens.empty()) {
    const std::size_t count = std::min<std::size_t>(tokens.size(), run_.batch);
    begin(tokens.first(count));
    while (phase_.exchange != Exchange::candidates) {
      compute();
      advance();
    }
    tokens = tokens.subspan(count);
  }
  return Status::ok;
}

void Transformer::rewind(std::uint32_t position) {
  MOTE_ASSERT(position <= position_);
  position_ = position;
  count_ = 0;
}

void Transformer::begin(std::span<const std::uint32_t> tokens) {
  MOTE_ASSERT(!tokens.empty() && tokens.size() <= run_.batch);
  MOTE_ASSERT(tokens.size() <= run_.context_length - position_);
  tokens_ = tokens;
  count_ = static_cast<std::uint32_t>(tokens.size());
  phase_ = {Exchange::embed, 0};
}

void Transformer::compute() {
  switch (phase_.exchange) {
    case Exchange::embed:
      return compute_embedding();
    case Exchange::attention_input:
      return compute_norm(layer_gains(SectionKind::attention_norm));
    case Exchange::heads:
      return compute_heads();
    case Exchange::ffn_input:
      return compute_norm(layer_gains(SectionKind::ffn_norm));
    case Exchange::hidden:
      return compute_hidden();
    case Exchange::final_input:
      return compute_norm(image_.gains(SectionKind::final_norm));
    case Exchange::candidates:
      return;
  }
}

void Transformer::advance() {
  switch (phase_.exchange) {
    case Exchange::embed:
      phase_.exchange = Exchange::attention_input;
      break;
    case Exchange::attention_input:
      phase_.exchange = Exchange::heads;
      break;
    case Exchange::heads:
      add_projection(layer_matrix(SectionKind::wo), heads_);
      phase_.exchange = Exchange::ffn_input;
      break;
    case Exchange::ffn_input:
      phase_.exchange = Exchange::hidden;
      break;
    case Exchange::hidden:
      add_projection(layer_matrix(SectionKind::w_down), hidden_);
      if (phase_.layer + 1 < config().n_layers) {
        phase_ = {Exchange::attention_input, phase_.layer + 1};
      } else {
        phase_ = {Exchange::final_input, 0};
      }
      break;
    case Exchange::final_input:
      position_ += count_;
      phase_.exchange = Exchange::candidates;
      break;
    case Exchange::candidates:
      break;
  }
}

BlockVectors& Transformer::exchange_vectors() {
  switch (phase_.exchange) {
    case Exchange::heads:
      return heads_;
    case Exchange::hidden:
      return hidden_;
    default:
      return input_;
  }
}

}  // namespace mote
