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
    slices.push_back({{heads[i].first, heads[i].count}, hidden[i], residual[i], vocabulary[i], {}});
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
      gather(tokens);
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
  /// Whether a chip owns a block of the current exchange.
  bool owns(const Slice& slice, std::uint32_t block) {
    const ModelConfig& config = chip(0).config();
    const Phase phase = chip(0).phase();
    switch (phase.exchange) {
      case Exchange::heads:
        return slice.heads.contains(block / (config.head_size / config.head_block()));
      case Exchange::hidden:
        return slice.hidden(phase.layer).contains(block);
      default:
        return slice.residual_blocks.contains(block);
    }
  }

  void gather(std::span<const std::uint32_t> tokens) {
    for (std::size_t from = 0; from < chips_.size(); ++from) {
      for (std::size_t to = 0; to < chips_.size(); ++to) {
        if (from == to) continue;
        if (chip(0).phase().exchange == Exchange::embed) {
          copy_embeddings(to, from, tokens);
        } else {
          copy_vectors(to, from);
        }
      }
    }
  }

  void copy_embeddings(std::size_t to, std::size_t from, std::span<const std::uint32_t> tokens) {
    for (std::uint32_t i = 0; i < tokens.size(); ++i) {
      if (!slices_[from].vocabulary.contains(tokens[i])) continue;
      std::ranges::copy(chip(from).embedding_rows().row(i),
                        chip(to).embedding_rows().row(i).begin());
    }
  }

  void copy_vectors(std::size_t to, std::size_t from) {
    const Exchange exchange = chip(0).phase().exchange;
    const BlockVectors& source = chip(from).vectors(exchange);
    const BlockVectors& target = chip(to).vectors(exchange);
    const Range positions = chip(from).exchange_positions(exchange);
    for (std::uint32_t i = positions.first; i < positions.end(); ++i) {
      for (std::uint32_t b = 0; b < source.columns / source.block; ++b) {
        if (!owns(slices_[from], b)) continue;
        std::copy_n(source.row(i) + b * source.block, source.block,
                    target.row(i) + b * target.block);
        target.row_scales(i)[b] = source.row_scales(i)[b];
      }
    }
  }

  std::vector<Slice> slices_;
  std::vector<std::unique_ptr<RunningModel>> chips_;
};

}  // namespace mote::test
