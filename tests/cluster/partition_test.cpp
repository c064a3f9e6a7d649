// SPDX-License-Identifier: Apache-2.0
#include "mote/partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "support/random.hpp"

namespace mote {
namespace {

using Weights = std::vector<std::uint8_t>;
using Counts = std::vector<std::uint32_t>;

ModelConfig make_shape(std::uint32_t dim, std::uint32_t hidden_dim, std::uint32_t n_layers,
                       std::uint32_t n_heads, std::uint32_t n_kv_heads, std::uint32_t head_size,
                       std::uint32_t vocab_size, std::uint32_t block) {
  ModelConfig config;
  config.dim = dim;
  config.hidden_dim = hidden_dim;
  config.n_layers = n_layers;
  config.n_heads = n_heads;
  config.n_kv_heads = n_kv_heads;
  config.head_size = head_size;
  config.vocab_size = vocab_size;
  config.context_length = 64;
  config.block = block;
  config.residual_fraction_bits = 16;
  return config;
}

const ModelConfig kStories260K = make_shape(64, 172, 5, 8, 4, 8, 512, 16);
const ModelConfig kBabyllama = make_shape(128, 352, 4, 8, 4, 16, 105, 32);
const ModelConfig kStories3M = make_shape(192, 512, 6, 6, 2, 32, 4096, 32);
const ModelConfig kMultiHead = make_shape(256, 688, 8, 16, 16, 16, 1000, 32);
const ModelConfig kMultiQuery = make_shape(288, 768, 3, 12, 1, 24, 777, 32);
const ModelConfig kOdd = make_shape(90, 101, 7, 15, 5, 6, 67, 16);
const ModelConfig kTiny = make_shape(4, 6, 1, 2, 1, 2, 5, 16);
const ModelConfig kManyBlocks = make_shape(1024, 4096, 70, 64, 8, 16, 32000, 16);

const std::vector<ModelConfig> kShapes = {kStories260K, kBabyllama, kStories3M, kMultiHead,
                                          kMultiQuery,  kOdd,       kTiny,      kManyBlocks};

/// A partition and the table that it refers to.
class Cut {
 public:
  Cut(const ModelConfig& config, HeadPolicy policy, const Weights& weights)
      : table_(Partition::table_count(config, static_cast<std::uint32_t>(weights.size()))) {
    EXPECT_EQ(partition_.init(config, policy, weights, table_), Status::ok);
  }

  const Partition* operator->() const { return &partition_; }
  std::vector<Slice> slices() const {
    std::vector<Slice> slices;
    for (std::uint32_t rank = 0; rank < partition_.chips(); ++rank) {
      slices.push_back(partition_.slice(rank));
    }
    return slices;
  }
  /// One number of each slice.
  Counts map(const std::function<std::uint32_t(const Slice&)>& number) const {
    Counts counts;
    for (const Slice& slice : slices()) counts.push_back(number(slice));
    return counts;
  }
  Counts hidden(std::uint32_t layer) const {
    return map([layer](const Slice& slice) { return slice.hidden(layer).count; });
  }
  Counts heads() const {
    return map([](const Slice& slice) { return slice.heads.count; });
  }
  Counts residual() const {
    return map([](const Slice& slice) { return slice.residual_blocks.count; });
  }

 private:
  std::vector<Range> table_;
  Partition partition_;
};

Weights equal_chips(std::size_t chips) {
  return Weights(chips, 1);
}

void expect_in_order(const std::vector<Range>& ranges, std::uint32_t items) {
  std::uint32_t next = 0;
  for (const Range& range : ranges) {
    ASSERT_EQ(range.first, next);
    next = range.end();
  }
  ASSERT_EQ(next, items);
}

/// Every head has one owner, and the owner holds the K/V head that it reads, at its place.
void expect_heads_whole(const ModelConfig& config, const std::vector<Slice>& slices) {
  const std::uint32_t group = config.heads_per_kv_head();
  Counts owners(config.n_heads, 0);
  for (const Slice& slice : slices) {
    const HeadSet& heads = slice.heads;
    for (std::uint32_t i = 0; i < heads.count; ++i) {
      const std::uint32_t head = heads.head(i);
      ASSERT_LT(head, config.n_heads);
      ++owners[head];
      const std::uint32_t place = heads.kv_index(head, group);
      ASSERT_LT(place, heads.kv_count(group));
      ASSERT_EQ(heads.kv_head(place, group), head / group);
    }
    if (heads.count == 0) {
      ASSERT_EQ(heads.kv_count(group), 0U);
    }
  }
  ASSERT_EQ(owners, Counts(config.n_heads, 1));
}

void expect_all_owned_once(const ModelConfig& config, const Cut& cut) {
  const std::vector<Slice> slices = cut.slices();
  const Slice whole = Slice::whole(config);
  ASSERT_NO_FATAL_FAILURE(expect_heads_whole(config, slices));
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer) {
    std::vector<Range> hidden;
    for (const Slice& slice : slices) hidden.push_back(slice.hidden(layer));
    ASSERT_NO_FATAL_FAILURE(expect_in_order(hidden, whole.hidden_blocks.count));
  }
  std::vector<Range> residual;
  std::vector<Range> vocabulary;
  for (const Slice& slice : slices) {
    residual.push_back(slice.residual_blocks);
    vocabulary.push_back(slice.vocabulary);
  }
  ASSERT_NO_FATAL_FAILURE(expect_in_order(residual, whole.residual_blocks.count));
  ASSERT_NO_FATAL_FAILURE(expect_in_order(vocabulary, whole.vocabulary.count));
}

/// cost / weight.
struct Load {
  std::uint64_t cost = 0;
  std::uint64_t weight = 1;
  friend bool operator<(const Load& a, const Load& b) {
    return a.cost * b.weight < b.cost * a.weight;
  }
  friend bool operator==(const Load& a, const Load& b) {
    return a.cost * b.weight == b.cost * a.weight;
  }
};

using Cost = std::function<std::uint32_t(std::uint32_t, std::uint32_t)>;

std::uint32_t even_cost(std::uint32_t first, std::uint32_t end) {
  return end - first;
}

Cost query_head_cost(std::uint32_t group) {
  return [group](std::uint32_t first, std::uint32_t end) {
    return first == end ? 0 : end - first + 2 * ((end - 1) / group - first / group + 1);
  };
}

/// The least load of the slowest chip, by trying every cut.
Load least_load(const Weights& weights, std::uint32_t items, const Cost& cost) {
  constexpr Load kImpossible = {1U << 30, 1};
  std::vector<Load> best(items + 1, kImpossible);  // of the chips so far, up to each end
  best[0] = {0, 1};
  for (const std::uint8_t weight : weights) {
    std::vector<Load> next = best;
    for (std::uint32_t end = 0; end <= items && weight != 0; ++end) {
      for (std::uint32_t first = 0; first < end; ++first) {
        next[end] = std::min(next[end], std::max(best[first], Load{cost(first, end), weight}));
      }
    }
    best = next;
  }
  return best[items];
}

Load load_of(const std::vector<Range>& ranges, const Weights& weights, const Cost& cost) {
  Load load;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].count == 0) continue;
    EXPECT_NE(weights[i], 0);
    load = std::max(load, Load{cost(ranges[i].first, ranges[i].end()), weights[i]});
  }
  return load;
}

/// Weights of every kind: equal, small, large, and some of them 0.
Weights random_weights(test::Random& random, std::size_t chips) {
  const int largest = std::vector{1, 3, 10, 255}[random.below(4)];
  const int least = random.between<int>(0, 1);
  Weights weights(chips);
  for (auto& weight : weights) weight = random.between<std::uint8_t>(least, largest);
  weights[random.below(chips)] = static_cast<std::uint8_t>(largest);
  return weights;
}

TEST(Partition, each_row_and_head_has_one_owner_for_any_number_of_chips) {
  for (const ModelConfig& config : kShapes) {
    for (std::size_t chips = 1; chips <= kMaxChips; ++chips) {
      for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
        SCOPED_TRACE(testing::Message() << "dim " << config.dim << ", " << chips << " chips");
        const Cut cut(config, policy, equal_chips(chips));
        ASSERT_NO_FATAL_FAILURE(expect_all_owned_once(config, cut));
        EXPECT_EQ(cut->chips(), chips);
        EXPECT_EQ(cut->policy(), policy);
      }
    }
  }
}

TEST(Partition, each_row_and_head_has_one_owner_for_any_weights) {
  test::Random random(11);
  for (int round = 0; round < 400; ++round) {
    const ModelConfig& config = kShapes[random.below(kShapes.size())];
    const Weights weights = random_weights(random, 1 + random.below(kMaxChips));
    const auto policy = static_cast<HeadPolicy>(random.below(2));
    SCOPED_TRACE(testing::Message() << "seed 11, round " << round);
    const Cut cut(config, policy, weights);
    ASSERT_NO_FATAL_FAILURE(expect_all_owned_once(config, cut));
    const auto slices = cut.slices();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] != 0) continue;
      const Slice& slice = slices[i];
      EXPECT_EQ(slice.heads.count + slice.residual_blocks.count + slice.vocabulary.count, 0U);
      for (const Range& hidden : slice.hidden_by_layer) EXPECT_EQ(hidden.count, 0U);
    }
  }
}

TEST(Partition, one_chip_holds_the_whole) {
  for (const ModelConfig& config : kShapes) {
    for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
      const Cut cut(config, policy, {7});
      Slice slice = cut->slice(0);
      slice.hidden_by_layer = {};
      const Slice whole = Slice::whole(config);
      EXPECT_EQ(slice.heads, whole.heads);
      EXPECT_EQ(slice.hidden_blocks, whole.hidden_blocks);
      EXPECT_EQ(slice.residual_blocks, whole.residual_blocks);
      EXPECT_EQ(slice.vocabulary, whole.vocabulary);
    }
  }
}

TEST(Partition, contiguous_keeps_groups_together_where_chips_do_not_outnumber_kv_heads) {
  for (const ModelConfig& config : kShapes) {
    const std::uint32_t group = config.heads_per_kv_head();
    for (std::uint32_t chips = 1; chips <= config.n_kv_heads; ++chips) {
      const Cut cut(config, HeadPolicy::contiguous, equal_chips(chips));
      for (const Slice& slice : cut.slices()) {
        EXPECT_EQ(slice.heads.first % group, 0U);
        EXPECT_EQ(slice.heads.count % group, 0U);
        EXPECT_EQ(slice.heads.stride, 1U);
        EXPECT_LE(slice.heads.count / group, (config.n_kv_heads + chips - 1) / chips);
      }
    }
  }
  // Chips of weight 0 do not count.
  const Cut cut(kStories260K, HeadPolicy::contiguous, {0, 1, 1, 0, 1, 0, 1});
  EXPECT_EQ(cut.heads(), (Counts{0, 2, 2, 0, 2, 0, 2}));
}

TEST(Partition, the_load_of_the_slowest_chip_is_the_least_that_there_is) {
  test::Random random(12);
  for (int round = 0; round < 3000; ++round) {
    SCOPED_TRACE(testing::Message() << "seed 12, round " << round);
    const auto group = random.between<std::uint32_t>(1, 5);
    const auto kv_heads = random.between<std::uint32_t>(1, 4);
    const ModelConfig config =
        make_shape(random.between<std::uint32_t>(1, 100) * 2, random.between<std::uint32_t>(1, 300),
                   random.between<std::uint32_t>(1, 4), group * kv_heads, kv_heads, 8,
                   random.between<std::uint32_t>(1, 40), 16);
    const Weights weights = random_weights(random, 1 + random.below(9));
    const Cut cut(config, HeadPolicy::contiguous, weights);
    std::vector<Range> heads;
    std::vector<Range> residual;
    std::vector<Range> vocabulary;
    for (const Slice& slice : cut.slices()) {
      heads.push_back({slice.heads.first, slice.heads.count});
      residual.push_back(slice.residual_blocks);
      vocabulary.push_back(slice.vocabulary);
    }
    const Slice whole = Slice::whole(config);
    for (std::uint32_t layer = 0; layer < config.n_layers; ++layer) {
      std::vector<Range> hidden;
      for (const Slice& slice : cut.slices()) hidden.push_back(slice.hidden(layer));
      ASSERT_EQ(load_of(hidden, weights, even_cost),
                least_load(weights, whole.hidden_blocks.count, even_cost));
    }
    ASSERT_EQ(load_of(residual, weights, even_cost),
              least_load(weights, whole.residual_blocks.count, even_cost));
    ASSERT_EQ(load_of(vocabulary, weights, even_cost),
              least_load(weights, config.vocab_size, even_cost));
    const auto zeros = std::count(weights.begin(), weights.end(), 0);
    if (weights.size() - static_cast<std::size_t>(zeros) > kv_heads) {
      ASSERT_EQ(load_of(heads, weights, query_head_cost(group)),
                least_load(weights, config.n_heads, query_head_cost(group)));
    } else {
      for (Range& range : heads) range = {range.first / group, range.count / group};
      ASSERT_EQ(load_of(heads, weights, even_cost), least_load(weights, kv_heads, even_cost));
    }
  }
}

TEST(Partition, hidden_blocks_that_do_not_divide_go_round_from_layer_to_layer) {
  const Cut cut(kStories260K, HeadPolicy::contiguous, equal_chips(4));
  EXPECT_EQ(cut.hidden(0), (Counts{2, 3, 3, 3}));
  EXPECT_EQ(cut.hidden(1), (Counts{3, 2, 3, 3}));
  EXPECT_EQ(cut.hidden(2), (Counts{3, 3, 2, 3}));
  EXPECT_EQ(cut.hidden(3), (Counts{3, 3, 3, 2}));
  EXPECT_EQ(cut.hidden(4), cut.hidden(0));
}

TEST(Partition, equal_chips_differ_by_at_most_one_hidden_block_over_a_period) {
  for (const ModelConfig& config : kShapes) {
    for (std::uint32_t chips = 1; chips <= kMaxChips; ++chips) {
      const Cut cut(config, HeadPolicy::contiguous, equal_chips(chips));
      const Counts totals = cut.map([](const Slice& slice) {
        std::uint32_t total = 0;
        for (const Range& range : slice.hidden_by_layer) total += range.count;
        return total;
      });
      const auto [least, most] = std::minmax_element(totals.begin(), totals.end());
      EXPECT_LE(*most - *least, chips <= config.n_layers ? 0U : 1U);
    }
  }
}

TEST(Partition, heads_and_residual_blocks_have_their_small_shares_on_different_chips) {
  const Cut cut(kStories3M, HeadPolicy::contiguous, equal_chips(4));
  EXPECT_EQ(cut.residual(), (Counts{2, 1, 2, 1}));
  EXPECT_EQ(cut.heads(), (Counts{1, 2, 1, 2}));
  for (const Slice& slice : cut.slices()) EXPECT_EQ(slice.heads.kv_count(3), 1U);
}

TEST(Partition, chips_beyond_the_query_heads_take_other_rows) {
  const Cut cut(kStories3M, HeadPolicy::contiguous, equal_chips(12));
  const Counts heads = cut.heads();
  EXPECT_EQ(std::count(heads.begin(), heads.end(), 0U), 6);
  EXPECT_EQ(*std::max_element(heads.begin(), heads.end()), 1U);
  for (const Slice& slice : cut.slices()) {
    EXPECT_GE(slice.hidden_blocks.count, 1U);
    EXPECT_GE(slice.vocabulary.count, 4096U / 12);
  }
}

TEST(Partition, shares_follow_the_weights) {
  const Cut double_speed(kMultiHead, HeadPolicy::contiguous, {2, 1, 1});
  EXPECT_EQ(double_speed.heads(), (Counts{8, 4, 4}));
  EXPECT_EQ(double_speed.residual(), (Counts{4, 2, 2}));
  EXPECT_EQ(double_speed.hidden(0), (Counts{11, 5, 6}));
  EXPECT_EQ(double_speed->slice(0).vocabulary, (Range{0, 500}));
  // A granule on a slow chip would take longer than everything on the fast one.
  const Cut lone(kMultiHead, HeadPolicy::contiguous, {30, 1, 1, 1});
  EXPECT_EQ(lone.heads(), (Counts{16, 0, 0, 0}));
  EXPECT_EQ(lone.residual(), (Counts{8, 0, 0, 0}));
  EXPECT_EQ(lone->slice(0).vocabulary, (Range{0, 910}));
  EXPECT_EQ(lone->slice(3).vocabulary, (Range{970, 30}));
}

TEST(Partition, round_robin_deals_heads_to_chips_that_work) {
  const Cut cut(kStories260K, HeadPolicy::round_robin, {1, 0, 9, 1});
  EXPECT_EQ(cut->slice(0).heads, (HeadSet{0, 3, 3}));
  EXPECT_EQ(cut->slice(1).heads.count, 0U);
  EXPECT_EQ(cut->slice(2).heads, (HeadSet{1, 3, 3}));
  EXPECT_EQ(cut->slice(3).heads, (HeadSet{2, 2, 3}));
  const Cut more_chips(kStories260K, HeadPolicy::round_robin, equal_chips(10));
  EXPECT_EQ(more_chips.heads(), (Counts{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}));
}

TEST(Partition, owner_of_token_is_the_chip_that_has_the_row) {
  for (const Weights& weights : {Weights{1}, Weights{1, 0, 2}, equal_chips(64)}) {
    const Cut cut(kBabyllama, HeadPolicy::contiguous, weights);
    for (std::uint32_t token = 0; token < kBabyllama.vocab_size; ++token) {
      EXPECT_TRUE(cut->slice(cut->owner_of_token(token)).vocabulary.contains(token));
    }
  }
}

TEST(Partition, the_largest_shapes_are_cut_exactly) {
  ModelConfig config =
      make_shape(kMaxDim, kMaxHiddenDim, kMaxLayers, kMaxHeads, 1, 16, kMaxVocabulary, 16);
  ASSERT_TRUE(is_valid(config));
  const Cut equal(config, HeadPolicy::contiguous, Weights(kMaxChips, 255));
  for (const Slice& slice : equal.slices()) {
    EXPECT_EQ(slice.heads.count, kMaxHeads / kMaxChips);
    EXPECT_EQ(slice.vocabulary.count, kMaxVocabulary / kMaxChips);
    EXPECT_EQ(slice.hidden_by_layer.size(), kMaxChips);
  }
  // 255 and 254 are the weights whose quotients lie closest together.
  const Weights close = {255, 254};
  const Cut cut(config, HeadPolicy::contiguous, close);
  const std::uint32_t first = cut->slice(0).vocabulary.count;
  const auto load = [&](std::uint32_t count) {
    return std::max(Load{count, 255}, Load{kMaxVocabulary - count, 254});
  };
  EXPECT_FALSE(load(first - 1) < load(first));
  EXPECT_FALSE(load(first + 1) < load(first));
}

TEST(Partition, what_cannot_be_cut_is_refused_and_changes_nothing) {
  std::vector<Range> table(Partition::table_count(kStories260K, 3));
  Partition partition;
  const auto init = [&](const Weights& weights) {
    return partition.init(kStories260K, HeadPolicy::contiguous, weights, table);
  };
  ASSERT_EQ(init({1, 2, 1}), Status::ok);
  const auto before = table;
  EXPECT_EQ(init({}), Status::bad_partition);
  EXPECT_EQ(init({0}), Status::bad_partition);
  EXPECT_EQ(init({0, 0, 0}), Status::bad_partition);
  EXPECT_EQ(init(Weights(kMaxChips + 1, 1)), Status::bad_partition);
  EXPECT_EQ(partition.chips(), 3U);
  EXPECT_EQ(table, before);
}

/// All phases of one token.
std::uint64_t token_macs(const ModelConfig& config, const Slice& slice, std::uint32_t position) {
  std::uint64_t macs = phase_macs(config, slice, {Exchange::embed, 0}, position);
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer) {
    for (const Exchange exchange :
         {Exchange::attention_input, Exchange::heads, Exchange::ffn_input, Exchange::hidden}) {
      macs += phase_macs(config, slice, {exchange, layer}, position);
    }
  }
  macs += phase_macs(config, slice, {Exchange::final_input, 0}, position);
  return macs + phase_macs(config, slice, {Exchange::candidates, 0}, position);
}

TEST(PhaseMacs, one_chip_spends_a_multiplication_on_each_weight_and_position) {
  for (const ModelConfig& c : kShapes) {
    const std::uint64_t attention = 2 * std::uint64_t{c.dim} * c.heads_dim() +
                                    2 * std::uint64_t{c.dim} * c.kv_dim() +
                                    2 * std::uint64_t{c.heads_dim()} * 10;
    const std::uint64_t ffn = 3 * std::uint64_t{c.dim} * c.hidden_dim;
    EXPECT_EQ(token_macs(c, Slice::whole(c), 9),
              c.n_layers * (attention + ffn) + std::uint64_t{c.vocab_size} * c.dim);
  }
}

TEST(PhaseMacs, chips_share_the_work_and_repeat_only_shared_kv_heads) {
  for (const ModelConfig& config : kShapes) {
    const std::uint32_t group = config.heads_per_kv_head();
    for (const std::size_t chips : {2U, 5U, 16U, 64U}) {
      const Cut cut(config, HeadPolicy::contiguous, equal_chips(chips));
      std::uint64_t macs = 0;
      std::uint64_t kv_heads = 0;
      for (const Slice& slice : cut.slices()) {
        macs += token_macs(config, slice, 30);
        kv_heads += slice.heads.kv_count(group);
      }
      const std::uint64_t repeated =
          (kv_heads - config.n_kv_heads) * 2 * config.head_size * config.dim * config.n_layers;
      EXPECT_EQ(macs, token_macs(config, Slice::whole(config), 30) + repeated);
    }
  }
}

TEST(PhaseMacs, each_phase_counts_what_stands_between_two_gathers) {
  const ModelConfig& c = kOdd;  // 90 lanes are 6 blocks, 101 rows are 7; the last is not whole
  const Slice slice = {{3, 4, 1}, {5, 2}, {4, 2}, {60, 7}, {}};
  EXPECT_EQ(phase_macs(c, slice, {Exchange::embed, 0}, 5), 0U);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::attention_input, 0}, 5), 0U);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::attention_input, 1}, 5), 26U * 101);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::final_input, 0}, 5), 26U * 101);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::heads, 0}, 5), (4U + 2 * 2) * 6 * 90 + 4 * 2 * 6 * 6);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::ffn_input, 3}, 5), 26U * 90);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::hidden, 3}, 5), 2U * 21 * 90);
  EXPECT_EQ(phase_macs(c, slice, {Exchange::candidates, 0}, 5), 7U * 90);
}

}  // namespace
}  // namespace mote
