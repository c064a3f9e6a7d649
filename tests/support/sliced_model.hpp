// SPDX-License-Identifier: Apache-2.0
// A model over several chips in one process: what the phases of a transformer must carry.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "mote/transformer.hpp"
#include "support/running_model.hpp"

namespace mote::test {

/// Cuts 0 to `total` at shares of `weights`, in order.
inline std::vector<Range> cut(std::uint32_t total, const std::vector<std::uint32_t>& weights) {
  std::uint32_t sum = 0;
  for (const std::uint32_t weight : weights) sum += weight;
  std::vector<Range> parts;
  std::uint32_t done = 0;
  std::uint32_t first = 0;
  for (const std::uint32_t weight : weights) {
    done += weight;
    const std::uint32_t end = total * done / sum;
    parts.push_back({first, end - first});
    first = end;
  }
  return parts;
}

/// Everything of a model at shares of `weights`, a slice for each.
inline std::vector<Slice> split(const ModelConfig& config,
                                const std::vector<std::uint32_t>& weights) {
  const Slice whole = Slice::whole(config);
  const auto heads = cut(whole.heads.count, weights);
  const auto hidden = cut(whole.hidden_blocks.count, weights);
  const auto residual = cut(whole.residual_blocks.count, weights);
  const auto vocabulary = cut(whole.vocabulary.count, weights);
  std::vector<Slice> slices;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    slices.push_back({heads[i], hidden[i], residual[i], vocabulary[i]});
  }
  return slices;
}

/// Chips in one process; a gather copies blocks from one exchange vector to another.
class SlicedModel {
 public:
  SlicedModel(const Image& image, const RunConfig& run, std::vector<Slice> slices)
      : slices_(std::move(slices)) {
    for (const Slice& slice : slices_) {
      chips_.push_back(std::make_unique<RunningModel>(image, run, slice, std::byte{0x5a}));
    }
  }

  Transformer& chip(std::size_t rank) { return chips_[rank]->transformer(); }

  void pass(std::span<const std::uint32_t> tokens) {
    for (auto& chip : chips_) (*chip)->begin(tokens);
    while (chip(0).phase().exchange != Exchange::candidates) {
      for (auto& chip : chips_) (*chip)->compute();
      gather(tokens.size());
      for (auto& chip : chips_) (*chip)->advance();
    }
  }

  /// Rows of the classifier from the chips that own them.
  Logits logits() {
    Logits logits(chip(0).config().vocab_size, INT32_MIN);
    for (auto& chip : chips_) (*chip)->logits(logits);
    return logits;
  }

  /// The best of all chips, best first.
  std::vector<Candidate> candidates() {
    std::vector<Candidate> all;
    for (auto& chip : chips_) {
      Sampler sampler;
      std::ranges::copy((*chip)->candidates(sampler), std::back_inserter(all));
    }
    std::sort(all.begin(), all.end());
    return all;
  }

 private:
  /// Blocks of the current exchange that a chip owns.
  Range own_blocks(const Slice& slice) {
    const ModelConfig& config = chip(0).config();
    const std::uint32_t blocks_per_head = config.head_size / config.head_block();
    switch (chip(0).phase().exchange) {
      case Exchange::heads:
        return {slice.heads.first * blocks_per_head, slice.heads.count * blocks_per_head};
      case Exchange::hidden:
        return slice.hidden_blocks;
      case Exchange::embed:  // each chip reads its lanes from its own image
      case Exchange::candidates:
        return {};
      default:
        return slice.residual_blocks;
    }
  }

  void gather(std::size_t count) {
    for (std::size_t from = 0; from < chips_.size(); ++from) {
      for (std::size_t to = 0; to < chips_.size(); ++to) {
        if (from == to) continue;
        for (std::uint32_t i = 0; i < count; ++i) copy_blocks(to, from, i);
      }
    }
  }

  void copy_blocks(std::size_t to, std::size_t from, std::uint32_t index) {
    const BlockVectors& source = chip(from).exchange_vectors();
    BlockVectors& target = chip(to).exchange_vectors();
    const Range own = own_blocks(slices_[from]);
    std::copy_n(source.row(index) + own.first * source.block, own.count * source.block,
                target.row(index) + own.first * target.block);
    std::copy_n(source.row_scales(index) + own.first, own.count,
                target.row_scales(index) + own.first);
  }

  std::vector<Slice> slices_;
  std::vector<std::unique_ptr<RunningModel>> chips_;
};

}  // namespace mote::test
