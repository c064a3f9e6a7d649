// SPDX-License-Identifier: Apache-2.0
#include "plan/token_exchanges.hpp"

#include <algorithm>

#include "model/image_shard.hpp"
#include "mote/share.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kCandidateBytes = 8;

/// Items that a message never divides. The last one may be shorter than the others.
struct Items {
  std::uint64_t count = 0;
  std::uint64_t item_bytes = 1;
  std::uint64_t payload_bytes = 0;
};

Items blocks_of(const Range& blocks, std::uint32_t block, std::uint32_t lanes) {
  const std::uint64_t scales = std::uint64_t{blocks.count} * sizeof(Scale16);
  return {blocks.count, block + sizeof(Scale16),
          rows_of_blocks(blocks, block, lanes).count + scales};
}

/// The row as it stands in the image.
Items embedding_row(const Image& image) {
  const MatrixView view = image.matrix(SectionKind::token_embedding);
  const std::uint64_t factors = view.format == WeightFormat::int4 ? view.blocks() : 0;
  const std::uint64_t bytes = sizeof(Scale16) + factors + view.row_bytes();
  return {(bytes + kEmbeddingItemBytes - 1) / kEmbeddingItemBytes, kEmbeddingItemBytes, bytes};
}

/// Any chip may own the row of the token; the one with the most rows does most often.
bool owns_embedding(std::span<const Slice> slices, std::size_t rank) {
  const auto most = std::max_element(
      slices.begin(), slices.end(),
      [](const Slice& a, const Slice& b) { return a.vocabulary.count < b.vocabulary.count; });
  return rank == static_cast<std::size_t>(most - slices.begin());
}

Items items_of(const Image& image, std::span<const Slice> slices, std::size_t rank, Phase phase,
               std::uint32_t candidates) {
  const ModelConfig& c = image.config();
  const Slice& slice = slices[rank];
  switch (phase.exchange) {
    case Exchange::embed:
      return owns_embedding(slices, rank) ? embedding_row(image) : Items{};
    case Exchange::heads: {
      const std::uint32_t blocks = c.head_size / c.head_block() * slice.heads.count;
      return blocks_of({0, blocks}, c.head_block(), blocks * c.head_block());
    }
    case Exchange::hidden:
      return blocks_of(slice.hidden(phase.layer), c.block, c.hidden_dim);
    case Exchange::candidates: {
      const std::uint64_t count = std::min<std::uint64_t>(candidates, slice.vocabulary.count);
      return {count, kCandidateBytes, count * kCandidateBytes};
    }
    case Exchange::attention_input:
    case Exchange::ffn_input:
    case Exchange::final_input:
      break;
  }
  return blocks_of(slice.residual_blocks, c.block, c.dim);
}

}  // namespace

std::vector<Phase> token_phases(const ModelConfig& config) {
  std::vector<Phase> phases = {{Exchange::embed, 0}};
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer) {
    if (layer != 0) phases.push_back({Exchange::attention_input, layer});
    phases.push_back({Exchange::heads, layer});
    phases.push_back({Exchange::ffn_input, layer});
    phases.push_back({Exchange::hidden, layer});
  }
  phases.push_back({Exchange::final_input, 0});
  phases.push_back({Exchange::candidates, 0});
  return phases;
}

const char* exchange_name(Exchange exchange) {
  constexpr const char* kNames[] = {"embed",  "attention_input", "heads",     "ffn_input",
                                    "hidden", "final_input",     "candidates"};
  return kNames[static_cast<std::size_t>(exchange)];
}

std::vector<ShareSize> exchange_shares(const Image& image, std::span<const Slice> slices,
                                       Phase phase, std::uint32_t candidates,
                                       const LinkCard& link) {
  const std::uint64_t room = max_message_bytes(link.max_frame_bytes) - kMessageHeaderBytes;
  std::vector<ShareSize> shares;
  for (std::size_t rank = 0; rank < slices.size(); ++rank) {
    const Items items = items_of(image, slices, rank, phase, candidates);
    const std::uint64_t a_message = room / items.item_bytes;
    const std::uint64_t messages = (items.count + a_message - 1) / a_message;
    shares.push_back({items.payload_bytes, std::max<std::uint64_t>(messages, 1)});
  }
  return shares;
}

}  // namespace mote::host
