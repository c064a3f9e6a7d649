// SPDX-License-Identifier: Apache-2.0
#include "run/parallel_transformer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "support/error.hpp"

namespace mote::host {
namespace {

void check_run(Status status, const std::string& what) {
  if (status != Status::ok) throw Error(fmt::format("{}: {}", what, status_text(status)));
}

/// Copies blocks of one position.
void copy_blocks(const BlockVectors& to, const BlockVectors& from, std::uint32_t position,
                 Range blocks) {
  std::copy_n(from.row(position) + std::size_t{blocks.first} * from.block,
              std::size_t{blocks.count} * from.block,
              to.row(position) + std::size_t{blocks.first} * to.block);
  std::copy_n(from.row_scales(position) + blocks.first, blocks.count,
              to.row_scales(position) + blocks.first);
}

/// The blocks of an exchange that a chip with this slice owns; its heads are consecutive.
Range owned_blocks(const ModelConfig& config, const Slice& slice, Phase phase) {
  switch (phase.exchange) {
    case Exchange::heads: {
      const std::uint32_t blocks = config.head_size / config.head_block();
      return {slice.heads.first * blocks, slice.heads.count * blocks};
    }
    case Exchange::hidden:
      return slice.hidden(phase.layer);
    default:
      return slice.residual_blocks;
  }
}

}  // namespace

ParallelTransformer::ParallelTransformer(const Image& image, const RunConfig& run,
                                         std::uint32_t threads, const std::string& what)
    : table_(Partition::table_count(image.config(), threads)),
      chips_(threads),
      merged_(run.candidates),
      team_(threads) {
  const std::vector<std::uint8_t> weights(threads, 1);
  check_run(partition_.init(image.config(), HeadPolicy::contiguous, weights, table_), what);
  for (std::uint32_t rank = 0; rank < threads; ++rank) init_chip(image, run, rank, what);
}

void ParallelTransformer::init_chip(const Image& image, const RunConfig& run, std::uint32_t rank,
                                    const std::string& what) {
  const Slice slice = chips_.size() == 1 ? Slice::whole(image.config()) : partition_.slice(rank);
  const std::size_t bytes = Transformer::arena_bytes(image, run, slice);
  Chip& chip = chips_[rank];
  chip.arena = std::make_unique<std::max_align_t[]>((bytes + sizeof(std::max_align_t) - 1) /
                                                    sizeof(std::max_align_t));
  arena_bytes_ += bytes;
  check_run(chip.transformer.init(image, run,
                                  {reinterpret_cast<std::byte*>(chip.arena.get()), bytes}, slice),
            what);
}

bool ParallelTransformer::is_decodable(std::span<const std::uint32_t> tokens) const {
  return std::ranges::all_of(tokens, [&](std::uint32_t t) { return t < config().vocab_size; });
}

Status ParallelTransformer::decode(std::span<const std::uint32_t> tokens) {
  if (chips_.size() == 1) return chip(0).decode(tokens);
  if (tokens.size() > position_limit() - position()) return Status::context_full;
  if (!is_decodable(tokens)) return Status::token_out_of_range;
  team_.run([&](std::uint32_t rank) { run_passes(rank, tokens); });
  return Status::ok;
}

/// Consecutive exchanges have different memory, so that one meeting for each is enough: nobody
/// writes a vector again before all have met twice.
void ParallelTransformer::run_passes(std::uint32_t rank, std::span<const std::uint32_t> tokens) {
  Transformer& own = chip(rank);
  while (!tokens.empty()) {
    const auto batch = tokens.first(std::min<std::size_t>(tokens.size(), run_config().batch));
    own.begin(batch, batch.size() == tokens.size());
    while (own.phase().exchange != Exchange::candidates) {
      own.compute();
      team_.meet();
      gather(rank, batch);
      own.advance();
    }
    tokens = tokens.subspan(batch.size());
  }
}

void ParallelTransformer::gather(std::uint32_t rank, std::span<const std::uint32_t> tokens) {
  Transformer& own = chip(rank);
  const Phase phase = own.phase();
  if (phase.exchange == Exchange::embed) {
    for (std::uint32_t i = 0; i < tokens.size(); ++i) {
      const std::uint32_t owner = partition_.owner_of_token(tokens[i]);
      if (owner == rank) continue;
      std::ranges::copy(chip(owner).embedding_rows().row(i), own.embedding_rows().row(i).begin());
    }
    return;
  }
  const Range positions = own.exchange_positions(phase.exchange);
  for (std::uint32_t other = 0; other < chips_.size(); ++other) {
    if (other == rank) continue;
    const Range blocks = owned_blocks(config(), chip(other).slice(), phase);
    if (blocks.count == 0) continue;
    for (std::uint32_t i = positions.first; i < positions.end(); ++i) {
      copy_blocks(own.vectors(phase.exchange), chip(other).vectors(phase.exchange), i, blocks);
    }
  }
}

std::span<const Candidate> ParallelTransformer::candidates(Sampler& sampler) {
  if (chips_.size() == 1) return chip(0).candidates(sampler);
  team_.run([&](std::uint32_t rank) {
    Sampler own = sampler;
    const auto best = chip(rank).candidates(own);
    chips_[rank].best.assign(best.begin(), best.end());
  });
  CandidateList list(merged_);
  for (const Chip& chip : chips_) {
    for (const Candidate& candidate : chip.best) list.offer(candidate);
  }
  return list.sort();
}

void ParallelTransformer::logits(std::span<std::int32_t> out) {
  team_.run([&](std::uint32_t rank) { chip(rank).logits(out); });
}

void ParallelTransformer::reset() {
  for (Chip& chip : chips_) chip.transformer.reset();
}

Status ParallelTransformer::rewind(std::uint32_t position) {
  Status status = Status::ok;
  for (Chip& chip : chips_) {
    status = chip.transformer.rewind(position);
    if (status != Status::ok) break;
  }
  return status;
}

}  // namespace mote::host
