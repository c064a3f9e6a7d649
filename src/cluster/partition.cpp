// SPDX-License-Identifier: Apache-2.0
#include "mote/partition.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "model/image_shard.hpp"

namespace mote {
namespace {

/// numerator / denominator, at least 0 and below 1.
struct Fraction {
  std::uint32_t numerator = 0;
  std::uint32_t denominator = 1;
};

/// Cuts `items` consecutive items over chips such that the largest cost / weight is least.
///
/// `cost(first, end)` is an integer, at least 1 where the range holds an item, and does not fall
/// as the range grows. A bound T on cost / weight allows chip i the whole part of T * weight[i].
/// Those budgets change only where T = cost / weight, and two such numbers differ by at least
/// 1 / (255 * 254) > 2^-16. So between the least T that suffices and the next multiple of 2^-16
/// lies no other, and the least multiple that suffices gives the same budgets: the search is exact.
/// Costs are at most 2^20 (rows of the vocabulary; 3 * kMaxHeads is less): T has at most 36 bits,
/// T * weight 44.
template <typename Cost>
class Cutter {
 public:
  Cutter(std::span<const std::uint8_t> weights, std::uint32_t items, Cost cost)
      : weights_(weights), items_(items), cost_(cost) {
    find_bound();
    std::uint32_t start = items_;
    starts_[chips()] = start;
    for (std::size_t i = chips(); i-- > 0;) {
      start = first_item(start, budget(i, bound_));
      starts_[i] = start;
      total_weight_ += weights_[i];
    }
  }

  /// Calls `take(rank, range)` for every chip. Among the cuts that keep the bound this is one near
  /// the weights' proportions: each cut is the whole part of its place there + `dither`, moved only
  /// as far as the budgets of the chips on both sides demand.
  template <typename Take>
  void cut(Fraction dither, Take take) const {
    std::uint64_t weight = 0;
    std::uint32_t first = 0;
    for (std::size_t i = 0; i < chips(); ++i) {
      weight += weights_[i];
      // At most 2^20 items, weights of 2^14 and a denominator of 2^14: 48 bits.
      const std::uint64_t ideal =
          (items_ * weight * dither.denominator + std::uint64_t{dither.numerator} * total_weight_) /
          (std::uint64_t{total_weight_} * dither.denominator);
      const std::uint32_t end = std::clamp<std::uint32_t>(
          static_cast<std::uint32_t>(ideal), starts_[i + 1], end_item(first, budget(i, bound_)));
      take(i, Range{first, end - first});
      first = end;
    }
  }

  /// The largest dither that counts: places are rounded up.
  Fraction round_up() const { return {total_weight_ - 1, total_weight_}; }

 private:
  std::size_t chips() const { return weights_.size(); }
  std::uint64_t budget(std::size_t rank, std::uint64_t bound) const {
    return bound * weights_[rank] >> kBoundBits;
  }

  void find_bound() {
    std::uint64_t low = 0;
    std::uint64_t high = std::uint64_t{cost_(0, items_)} << kBoundBits;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (suffices(middle)) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    bound_ = low;
  }
  bool suffices(std::uint64_t bound) const {
    std::uint32_t end = 0;
    for (std::size_t i = 0; i < chips(); ++i) end = end_item(end, budget(i, bound));
    return end == items_;
  }

  /// The largest end of a range from `first` that costs at most `budget`.
  std::uint32_t end_item(std::uint32_t first, std::uint64_t budget) const {
    std::uint32_t low = first;
    std::uint32_t high = items_;
    while (low < high) {
      const std::uint32_t middle = high - (high - low) / 2;
      if (cost_(first, middle) <= budget) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
  /// The least first item of a range up to `end` that costs at most `budget`.
  std::uint32_t first_item(std::uint32_t end, std::uint64_t budget) const {
    std::uint32_t low = 0;
    std::uint32_t high = end;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (cost_(middle, end) <= budget) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  static constexpr unsigned kBoundBits = 16;

  std::span<const std::uint8_t> weights_;
  std::uint32_t items_;
  Cost cost_;
  std::uint64_t bound_ = 0;  // T, in units of 2^-kBoundBits
  std::uint32_t total_weight_ = 0;
  /// From starts_[i] on, chips i and those behind it suffice; from the item before they do not.
  std::array<std::uint32_t, kMaxChips + 1> starts_{};
};

constexpr auto kItemCount = [](std::uint32_t first, std::uint32_t end) { return end - first; };

/// Items that cost the same each.
auto even_cutter(std::span<const std::uint8_t> weights, std::uint32_t items) {
  return Cutter(weights, items, kItemCount);
}

std::uint32_t count_active(std::span<const std::uint8_t> weights) {
  return static_cast<std::uint32_t>(
      weights.size() - static_cast<std::size_t>(std::count(weights.begin(), weights.end(), 0)));
}

void cut_contiguous_heads(std::span<HeadSet> heads, const ModelConfig& config,
                          std::span<const std::uint8_t> weights) {
  const std::uint32_t group = config.heads_per_kv_head();
  if (count_active(weights) <= config.n_kv_heads) {
    even_cutter(weights, config.n_kv_heads).cut({}, [&](std::size_t rank, Range kv) {
      heads[rank] = {kv.first * group, kv.count * group, 1};
    });
    return;
  }
  // A query head costs its rows of wq, a K/V head as many of wk and of wv again.
  const auto cost = [group](std::uint32_t first, std::uint32_t end) {
    return end - first + 2 * ((end - 1) / group - first / group + 1);
  };
  Cutter(weights, config.n_heads, cost).cut({}, [&](std::size_t rank, Range range) {
    heads[rank] = {range.first, range.count, 1};
  });
}

void deal_heads(std::span<HeadSet> heads, const ModelConfig& config,
                std::span<const std::uint8_t> weights) {
  const std::uint32_t stride = count_active(weights);
  std::uint32_t next = 0;
  for (std::size_t rank = 0; rank < weights.size(); ++rank) {
    const bool has_some = weights[rank] != 0 && next < config.n_heads;
    const std::uint32_t count = has_some ? (config.n_heads - next - 1) / stride + 1 : 0;
    heads[rank] = {has_some ? next : config.n_heads, count, stride};
    if (weights[rank] != 0) ++next;
  }
}

/// Queries, keys and values of the own heads, and their attention.
std::uint64_t heads_macs(const ModelConfig& config, const HeadSet& heads, std::uint32_t position) {
  const std::uint64_t rows =
      heads.count + 2 * std::uint64_t{heads.kv_count(config.heads_per_kv_head())};
  const std::uint64_t positions = std::uint64_t{position} + 1;
  return config.head_size * (rows * config.dim + 2 * heads.count * positions);
}

}  // namespace

Status Partition::init(const ModelConfig& config, HeadPolicy policy,
                       std::span<const std::uint8_t> weights, std::span<Range> table) {
  if (weights.empty() || weights.size() > kMaxChips || count_active(weights) == 0) {
    return Status::bad_partition;
  }
  chips_ = static_cast<std::uint32_t>(weights.size());
  policy_ = policy;
  // Chips of weight 0 may come and go without moving the others' rows.
  period_ = hidden_period(config, count_active(weights));
  MOTE_ASSERT(table.size() >= table_count(config, chips_));
  hidden_ = table.first(std::size_t{period_} * chips_);

  if (policy == HeadPolicy::round_robin) {
    deal_heads(heads_, config, weights);
  } else {
    cut_contiguous_heads(heads_, config, weights);
  }
  // Sum over l < P of floor(x + l / P) = floor(P * x) (Hermite): over a period the ends of a chip's
  // shares add up to a rounded place, so that equal chips differ by at most one block.
  const auto hidden = even_cutter(weights, config.hidden_padded() / config.block);
  for (std::uint32_t layer = 0; layer < period_; ++layer) {
    hidden.cut({layer, period_},
               [&](std::size_t rank, Range range) { hidden_[rank * period_ + layer] = range; });
  }
  // Heads are rounded down and residual blocks up, so that few chips have the small share of both.
  const auto residual = even_cutter(weights, config.dim_padded() / config.block);
  residual.cut(residual.round_up(),
               [&](std::size_t rank, Range range) { residual_[rank] = range; });
  even_cutter(weights, config.vocab_size).cut({}, [&](std::size_t rank, Range range) {
    vocabulary_[rank] = range;
  });
  return Status::ok;
}

Slice Partition::slice(std::uint32_t rank) const {
  MOTE_ASSERT(rank < chips_);
  const auto by_layer = hidden_.subspan(std::size_t{rank} * period_, period_);
  return {heads_[rank], by_layer[0], residual_[rank], vocabulary_[rank], by_layer};
}

std::uint32_t Partition::owner_of_token(std::uint32_t token) const {
  std::uint32_t rank = 0;
  while (rank < chips_ && !vocabulary_[rank].contains(token)) ++rank;
  MOTE_ASSERT(rank < chips_);
  return rank;
}

std::uint64_t phase_macs(const ModelConfig& config, const Slice& slice, Phase phase,
                         std::uint32_t position) {
  const std::uint64_t residual_rows =
      rows_of_blocks(slice.residual_blocks, config.block, config.dim).count;
  switch (phase.exchange) {
    case Exchange::embed:
      break;
    case Exchange::attention_input:
      return phase.layer == 0 ? 0 : residual_rows * config.hidden_dim;
    case Exchange::final_input:
      return residual_rows * config.hidden_dim;
    case Exchange::heads:
      return heads_macs(config, slice.heads, position);
    case Exchange::ffn_input:
      return residual_rows * config.heads_dim();
    case Exchange::hidden:
      return 2 * config.dim *
             std::uint64_t{
                 rows_of_blocks(slice.hidden(phase.layer), config.block, config.hidden_dim).count};
    case Exchange::candidates:
      return std::uint64_t{slice.vocabulary.count} * config.dim;
  }
  return 0;
}

}  // namespace mote
