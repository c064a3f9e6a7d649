// SPDX-License-Identifier: Apache-2.0
// Who holds what: a model's heads, blocks of rows and vocabulary over chips.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/config.hpp"
#include "mote/slice.hpp"
#include "mote/status.hpp"
#include "mote/transformer.hpp"

namespace mote {

/// Cuts every kind of row over 1 to kMaxChips chips. A pure function of the model's shape, the
/// policy and the chips' weights, so that every chip finds the same cut by itself.
///
/// Each exchange waits for its slowest chip, so each kind is cut by itself such that the largest
/// share / weight is as small as whole granules allow; among those cuts the one nearest to the
/// weights' proportions is taken.
///
/// contiguous: with no more chips than K/V heads a granule is a K/V head with its query heads;
/// with more it is a query head, and chips that share a K/V head keep a copy each. round_robin
/// deals heads by rank whatever the weights say; everything else follows the weights. A chip may
/// own nothing of a kind; one of weight 0 owns nothing at all.
class Partition {
 public:
  Partition() = default;

  /// Entries that `init` needs in `table`.
  static constexpr std::size_t table_count(const ModelConfig& config, std::uint32_t chips) {
    return std::size_t{hidden_period(config, chips)} * chips;
  }
  /// The cut of w_gate and w_up over so many chips of weight above 0 repeats after so many layers.
  /// Over them the blocks that do not divide evenly go round: with equal weights the chips' totals
  /// differ by at most one block. Chips of weight 0 do not change the cut of the others.
  static constexpr std::uint32_t hidden_period(const ModelConfig& config, std::uint32_t chips) {
    return chips < config.n_layers ? chips : config.n_layers;
  }

  /// `config` is valid (`is_valid`). `weights` are the chips' relative speeds, one a chip in order
  /// of rank. `table` is table_count long and outlives this. `bad_partition` where there are 0 or
  /// more than kMaxChips chips or where all weights are 0; then nothing has changed.
  Status init(const ModelConfig& config, HeadPolicy policy, std::span<const std::uint8_t> weights,
              std::span<Range> table);

  std::uint32_t chips() const { return chips_; }
  HeadPolicy policy() const { return policy_; }
  /// `rank` < chips(). The slice refers to the table of `init`.
  Slice slice(std::uint32_t rank) const;
  /// The chip that owns a row of the vocabulary.
  std::uint32_t owner_of_token(std::uint32_t token) const;

 private:
  HeadPolicy policy_ = HeadPolicy::contiguous;
  std::uint32_t chips_ = 0;
  std::uint32_t period_ = 1;
  std::span<Range> hidden_;  // (chips, period)
  std::array<HeadSet, kMaxChips> heads_{};
  std::array<Range, kMaxChips> residual_{};
  std::array<Range, kMaxChips> vocabulary_{};
};

/// Multiply-accumulates that a chip spends on one token from the gather before `phase` until its
/// own part of the exchange of `phase` is ready: its rows of the matrices in between, and of
/// attention 2 * head_size for each query head and position seen, as in a causal layer. What a
/// kernel spends on padding is not counted.
///   position  of the token, from 0
std::uint64_t phase_macs(const ModelConfig& config, const Slice& slice, Phase phase,
                         std::uint32_t position);

}  // namespace mote
