// SPDX-License-Identifier: Apache-2.0
#include "mote/share.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "support/image_factory.hpp"
#include "support/random.hpp"
#include "support/running_model.hpp"
#include "support/shard_factory.hpp"

namespace mote {
namespace {

using test::Bytes;
using test::Cut;
using test::OpenImage;
using test::RunningModel;
using test::Tokens;

constexpr std::uint32_t kVocabulary = 67;
constexpr std::uint32_t kCandidates = 9;

/// Rows that fill no block: 90 = 5 * 16 + 10, 101 = 6 * 16 + 5; heads of 24 have blocks of 8.
const Image& image_of(WeightFormat weights) {
  const auto make = [](WeightFormat format) {
    test::ModelSpec spec;
    spec.shape = {90, 101, 3, 6, 2, 24, kVocabulary, 40};
    spec.shape.has_classifier = true;
    spec.block = 16;
    spec.weights = format;
    return OpenImage(spec);
  };
  static const OpenImage kInt8 = make(WeightFormat::int8);
  static const OpenImage kInt4 = make(WeightFormat::int4);
  return weights == WeightFormat::int8 ? kInt8.image() : kInt4.image();
}

/// All memory that shares speak of, on one chip.
class Chip {
 public:
  Chip(const Image& image, std::uint32_t batch, std::uint32_t ranks, std::uint32_t text_tokens)
      : model_(image, {40, std::max<std::uint32_t>(batch, 1), kCandidates}),
        text_(text_tokens),
        candidates_(std::size_t{ranks} * kCandidates) {
    memory_ = {text_, candidates_, kCandidates};
  }

  Transformer& transformer() { return model_.transformer(); }
  const SharedMemory& memory() const { return memory_; }

  /// The memory of an exchange, as bytes.
  std::vector<std::span<std::uint8_t>> parts(const Step& step) {
    const auto bytes_of = [](auto span) {
      return std::span(reinterpret_cast<std::uint8_t*>(span.data()), span.size_bytes());
    };
    if (step.is_text) return {bytes_of(std::span(text_))};
    if (step.phase.exchange == Exchange::candidates) return {bytes_of(std::span(candidates_))};
    if (step.phase.exchange == Exchange::embed) return {transformer().embedding_rows().bytes};
    const BlockVectors& vectors = transformer().vectors(step.phase.exchange);
    return {bytes_of(vectors.values), bytes_of(vectors.scales)};
  }
  Bytes bytes(const Step& step) {
    Bytes all;
    for (const auto part : parts(step)) all.insert(all.end(), part.begin(), part.end());
    return all;
  }
  void fill(const Step& step, const Bytes& bytes) {
    std::size_t offset = 0;
    for (const auto part : parts(step)) {
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), part.size(), part.begin());
      offset += part.size();
    }
  }

 private:
  RunningModel model_;
  Tokens text_;
  std::vector<Candidate> candidates_;
  SharedMemory memory_;
};

constexpr std::uint8_t kNoLane = 0x80;  // -128

/// None of which is kNoLane.
Bytes random_bytes(std::size_t count, std::uint64_t seed) {
  test::Random random(seed);
  Bytes bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next() % 255 - 127);
  return bytes;
}
Bytes inverted(Bytes bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(~byte);
  return bytes;
}

/// Bytes of the whole vector of an exchange that chips give to one another.
std::size_t whole_bytes(Chip& chip, const Partition& partition, const Step& step,
                        std::size_t text_tokens) {
  const ModelConfig& c = chip.transformer().config();
  const auto vector_bytes = [](std::size_t lanes, std::size_t block) {
    return lanes + 2 * ((lanes + block - 1) / block);
  };
  if (step.is_text) return 4 * text_tokens;
  switch (step.phase.exchange) {
    case Exchange::embed:
      return std::size_t{step.count} * chip.transformer().embedding_rows().row_bytes;
    case Exchange::heads:
      return step.count * vector_bytes(c.heads_dim(), c.head_block());
    case Exchange::hidden:
      return step.count * vector_bytes(c.hidden_dim, c.block);
    case Exchange::final_input:
      return vector_bytes(c.dim, c.block);
    case Exchange::candidates: {
      std::size_t bytes = 0;
      for (std::uint32_t rank = 0; rank < partition.chips(); ++rank) {
        bytes += 8 * std::min<std::uint32_t>(kCandidates, partition.slice(rank).vocabulary.count);
      }
      return bytes;
    }
    default:
      return step.count * vector_bytes(c.dim, c.block);
  }
}

std::vector<Step> all_steps(const Tokens& tokens) {
  std::vector<Step> steps(1);
  steps[0].is_text = true;
  for (const Exchange exchange :
       {Exchange::embed, Exchange::attention_input, Exchange::heads, Exchange::ffn_input,
        Exchange::hidden, Exchange::final_input, Exchange::candidates}) {
    const bool has_layers = exchange == Exchange::hidden;
    for (std::uint32_t layer = 0; layer < (has_layers ? 3U : 1U); ++layer) {
      Step step;
      step.phase = {exchange, layer};
      step.count = static_cast<std::uint32_t>(tokens.size());
      step.tokens = tokens;
      steps.push_back(step);
    }
  }
  return steps;
}

Bytes written(const Share& share) {
  Bytes bytes(100'000);
  std::uint32_t next = 0;
  bytes.resize(share.write(bytes, 0, share.item_count(), next));
  EXPECT_EQ(next, share.item_count());
  std::size_t sum = 0;
  for (std::uint32_t item = 0; item < share.item_count(); ++item) sum += share.item_bytes(item);
  EXPECT_EQ(bytes.size(), sum);
  return bytes;
}

/// What all ranks give to one exchange covers the vector once and arrives elsewhere as it is.
void expect_whole(const Image& image, const Cut& cut, const Step& step, std::uint32_t text) {
  Chip source(image, step.count, cut.partition.chips(), text);
  Chip target(image, step.count, cut.partition.chips(), text);
  const Bytes sent = random_bytes(source.bytes(step).size(), 1);
  const Bytes before = inverted(sent);
  source.fill(step, sent);
  std::vector<std::uint32_t> covered(sent.size());
  std::size_t travelled = 0;
  for (std::uint32_t rank = 0; rank < cut.partition.chips(); ++rank) {
    const Slice slice = cut.partition.slice(rank);
    const bool gives_text = rank == 1 % cut.partition.chips();
    const Share from(source.transformer(), source.memory(), step, slice, rank, gives_text);
    const Share to(target.transformer(), target.memory(), step, slice, rank, gives_text);
    const Bytes bytes = written(from);
    travelled += bytes.size();
    target.fill(step, before);
    std::uint32_t next = 0;
    ASSERT_TRUE(to.read(bytes, 0, next));
    ASSERT_EQ(next, to.item_count());
    const Bytes after = target.bytes(step);
    for (std::size_t i = 0; i < sent.size(); ++i) {
      ASSERT_TRUE(after[i] == sent[i] || after[i] == before[i]);
      if (after[i] == sent[i]) ++covered[i];
    }
  }
  EXPECT_LE(*std::ranges::max_element(covered), 1U);
  const std::size_t whole = whole_bytes(source, cut.partition, step, text);
  EXPECT_EQ(std::accumulate(covered.begin(), covered.end(), std::size_t{0}), whole);
  EXPECT_EQ(travelled, whole);
}

TEST(Share, those_of_all_ranks_are_the_whole_vector_once) {
  const std::vector<std::vector<std::uint8_t>> cuts = {{1},
                                                       {1, 1},
                                                       {3, 1},
                                                       {1, 1, 1},
                                                       {1, 0, 5, 2},
                                                       {1, 1, 1, 1, 1},
                                                       std::vector<std::uint8_t>(9, 1)};
  for (const WeightFormat weights : {WeightFormat::int8, WeightFormat::int4}) {
    const Image& image = image_of(weights);
    for (const std::uint32_t batch : {1U, 5U}) {
      const Tokens tokens = test::random_tokens(kVocabulary, batch);
      for (const HeadPolicy policy : {HeadPolicy::contiguous, HeadPolicy::round_robin}) {
        for (const auto& chips : cuts) {
          const Cut cut(image, policy, chips);
          for (const Step& step : all_steps(tokens)) {
            SCOPED_TRACE(testing::Message()
                         << chips.size() << " chips, policy " << int(policy) << ", batch " << batch
                         << ", exchange " << int(step.phase.exchange) << ", text " << step.is_text);
            expect_whole(image, cut, step, 21);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

/// A share of every kind, for tests of its limits.
struct OneShare {
  explicit OneShare(const Step& given)
      : image(image_of(WeightFormat::int4)),
        cut(image, HeadPolicy::contiguous, {1, 2, 1}),
        step(given),
        slice(cut.partition.slice(1)),
        chip(image, step.count, 3, 21) {
    chip.fill(step, random_bytes(chip.bytes(step).size(), 2));
  }
  Share share() { return {chip.transformer(), chip.memory(), step, slice, 1, true}; }

  const Image& image;
  Cut cut;
  Step step;
  Slice slice;
  Chip chip;
};

TEST(Share, a_limit_cuts_between_items) {
  const Tokens tokens = test::random_tokens(kVocabulary, 5);
  for (const Step& step : all_steps(tokens)) {
    OneShare one(step);
    const Share share = one.share();
    const Bytes all = written(share);
    const std::uint32_t items = share.item_count();
    ASSERT_GT(items, 0U);
    for (std::uint32_t first = 0; first <= items; first += 1 + items / 4) {
      std::size_t offset = 0;
      for (std::uint32_t i = 0; i < first; ++i) offset += share.item_bytes(i);
      for (std::size_t limit = 0; limit < 300; ++limit) {
        Bytes out(limit);
        std::uint32_t next = 0;
        const std::size_t bytes = share.write(out, first, items, next);
        ASSERT_LE(bytes, limit);
        std::size_t expected = 0;
        for (std::uint32_t i = first; i < next; ++i) expected += share.item_bytes(i);
        ASSERT_EQ(bytes, expected);
        ASSERT_TRUE(next == items || bytes + share.item_bytes(next) > limit);
        ASSERT_TRUE(
            std::ranges::equal(std::span(out).first(bytes), std::span(all).subspan(offset, bytes)));
      }
    }
    Bytes out(all.size());
    std::uint32_t next = 0;
    EXPECT_EQ(share.write(out, 0, 1, next), share.item_bytes(0)) << "no further than `end`";
    EXPECT_EQ(next, 1U);
  }
}

TEST(Share, what_is_no_whole_number_of_items_is_refused_and_changes_nothing) {
  const Tokens tokens = test::random_tokens(kVocabulary, 5);
  for (const Step& step : all_steps(tokens)) {
    OneShare one(step);
    const Share share = one.share();
    Bytes bytes = written(share);
    bytes.push_back(0);
    const Bytes before = inverted(one.chip.bytes(step));
    one.chip.fill(step, before);
    std::uint32_t item = 0;
    std::size_t boundary = 0;
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
      std::uint32_t next = 0;
      const bool is_whole = size == boundary;
      EXPECT_EQ(share.read(std::span(bytes).first(size), 0, next), is_whole) << size;
      if (!is_whole) {
        ASSERT_EQ(one.chip.bytes(step), before) << size;
        continue;
      }
      EXPECT_EQ(next, item);
      one.chip.fill(step, before);
      if (item < share.item_count()) boundary += share.item_bytes(item);
      ++item;
    }
    std::uint32_t next = 0;
    EXPECT_FALSE(share.read(std::span(bytes).first(1), share.item_count(), next));
    EXPECT_FALSE(share.read(std::span(bytes).first(2), kMaxContext, next));
  }
}

// Kernels have no room for it, and no quantiser makes it. Scales and all else may have any bytes.
TEST(Share, a_lane_of_minus_128_is_refused_and_changes_nothing) {
  const Tokens tokens = test::random_tokens(kVocabulary, 5);
  for (const Step& step : all_steps(tokens)) {
    const Exchange exchange = step.phase.exchange;
    const bool has_lanes =
        !step.is_text && exchange != Exchange::embed && exchange != Exchange::candidates;
    OneShare one(step);
    const Share share = one.share();
    Bytes bytes = written(share);
    const Bytes before = inverted(one.chip.bytes(step));
    std::size_t refused = 0;
    for (std::uint8_t& byte : bytes) {
      const std::uint8_t kept = std::exchange(byte, kNoLane);
      one.chip.fill(step, before);
      std::uint32_t next = 0;
      if (!share.read(bytes, 0, next)) {
        ++refused;
        ASSERT_EQ(one.chip.bytes(step), before);
      }
      byte = kept;
    }
    const std::size_t lanes = bytes.size() - sizeof(Scale16) * share.item_count();
    EXPECT_EQ(refused, has_lanes ? lanes : 0);
  }
}

TEST(Share, items_can_be_read_from_any_on) {
  const Tokens tokens = test::random_tokens(kVocabulary, 5);
  for (const Step& step : all_steps(tokens)) {
    OneShare one(step);
    const Share share = one.share();
    const Bytes sent = one.chip.bytes(step);
    const Bytes bytes = written(share);
    one.chip.fill(step, inverted(sent));
    std::size_t offset = bytes.size();
    for (std::uint32_t item = share.item_count(); item-- > 0;) {
      offset -= share.item_bytes(item);
      std::uint32_t next = 0;
      ASSERT_TRUE(share.read(std::span(bytes).subspan(offset, share.item_bytes(item)), item, next));
      EXPECT_EQ(next, item + 1);
    }
    EXPECT_EQ(written(share), bytes);
  }
}

TEST(Share, an_embedding_whose_token_is_not_known_is_taken_from_whoever_sends_it) {
  for (const WeightFormat weights : {WeightFormat::int8, WeightFormat::int4}) {
    const Image& image = image_of(weights);
    const Cut cut(image, HeadPolicy::contiguous, {1, 1, 1});
    Step known;
    known.count = 1;
    const Tokens tokens = {30};
    known.tokens = tokens;
    Step unknown = known;
    unknown.tokens = {};
    Chip source(image, 1, 3, 1);
    source.fill(known, random_bytes(source.bytes(known).size(), 3));
    for (std::uint32_t rank = 0; rank < 3; ++rank) {
      const Slice slice = cut.partition.slice(rank);
      const bool is_owner = cut.partition.owner_of_token(30) == rank;
      const Share share(source.transformer(), source.memory(), known, slice, rank, false);
      const Share open(source.transformer(), source.memory(), unknown, slice, rank, false);
      const std::uint32_t row_bytes = source.transformer().embedding_rows().row_bytes;
      EXPECT_EQ(open.item_count(), (row_bytes + 63) / 64);
      EXPECT_EQ(share.item_count(), is_owner ? open.item_count() : 0U);
      if (!is_owner) continue;
      Chip target(image, 1, 3, 1);
      const Share to(target.transformer(), target.memory(), unknown, slice, rank, false);
      std::uint32_t next = 0;
      ASSERT_TRUE(to.read(written(share), 0, next));
      EXPECT_EQ(written(Share(target.transformer(), target.memory(), known, slice, rank, false)),
                written(share));
    }
  }
}

TEST(Share, an_embedding_row_is_items_of_64_bytes_and_the_rest) {
  const Tokens tokens = {1};
  Step step;
  step.count = 1;
  step.tokens = tokens;
  for (const auto& [weights, row_bytes] :
       {std::pair{WeightFormat::int8, 2U + 96U}, std::pair{WeightFormat::int4, 2U + 6U + 48U}}) {
    const Image& image = image_of(weights);
    const Slice slice = Slice::whole(image.config());
    Chip chip(image, 1, 1, 1);
    ASSERT_EQ(chip.transformer().embedding_rows().row_bytes, row_bytes);
    const Share share(chip.transformer(), chip.memory(), step, slice, 0, true);
    ASSERT_EQ(share.item_count(), (row_bytes + 63) / 64);
    EXPECT_EQ(share.item_bytes(share.item_count() - 1), row_bytes - row_bytes / 64 * 64);
  }
}

TEST(Share, a_text_is_items_of_8_tokens_that_one_chip_gives) {
  Step step;
  step.is_text = true;
  const Image& image = image_of(WeightFormat::int8);
  const Slice slice = Slice::whole(image.config());
  for (std::uint32_t tokens = 1; tokens <= 33; ++tokens) {
    Chip chip(image, 1, 2, tokens);
    const Share share(chip.transformer(), chip.memory(), step, slice, 0, true);
    EXPECT_EQ(share.item_count(), (tokens + 7) / 8);
    EXPECT_EQ(share.item_bytes(share.item_count() - 1), 4 * ((tokens - 1) % 8 + 1));
    EXPECT_EQ(share.item_bytes(0), 4 * std::min<std::uint32_t>(tokens, 8));
    EXPECT_EQ(Share(chip.transformer(), chip.memory(), step, slice, 1, false).item_count(), 0U);
  }
}

}  // namespace
}  // namespace mote
