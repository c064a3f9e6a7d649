// SPDX-License-Identifier: Apache-2.0
// What no use of a transformer may change: batches, rewinding, the arena's contents, errors.
// Its arithmetic is held against double precision in transformer_oracle_test.cpp.
#include "mote/transformer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/damaged_image.hpp"
#include "support/image_factory.hpp"
#include "support/random.hpp"
#include "support/running_model.hpp"

namespace mote {
namespace {

using test::Logits;
using test::ModelSpec;
using test::OpenImage;
using test::random_tokens;
using test::RunningModel;
using test::Tokens;

constexpr std::uint32_t kContext = 80;

/// Grouped-query, ragged everywhere, heads of several blocks.
const OpenImage& ragged_image() {
  static const OpenImage kImage = [] {
    ModelSpec model;
    model.shape = {90, 101, 2, 4, 2, 24, 67, kContext};
    model.shape.has_classifier = true;
    model.block = 16;
    return OpenImage(model);
  }();
  return kImage;
}

/// Multi-head, int4, one classifier with the embedding.
const OpenImage& int4_image() {
  static const OpenImage kImage = [] {
    ModelSpec model;
    model.shape = {64, 96, 3, 8, 8, 8, 300, kContext};
    model.weights = WeightFormat::int4;
    return OpenImage(model);
  }();
  return kImage;
}

std::vector<const OpenImage*> images() {
  return {&ragged_image(), &int4_image()};
}

std::span<const std::uint32_t> part(const Tokens& tokens, std::size_t first, std::size_t count) {
  return std::span(tokens).subspan(first, count);
}

TEST(Transformer, every_batch_gives_the_same_bits) {
  for (const OpenImage* image : images()) {
    const Tokens tokens = random_tokens(image->image().config().vocab_size, kContext);
    RunningModel single(image->image(), {kContext, 1, 1});
    const std::vector<Logits> expected = single.logits_after_each(tokens);
    for (const std::uint32_t batch : {1U, 2U, 3U, 8U, 64U}) {
      RunningModel model(image->image(), {kContext, batch, 1});
      ASSERT_EQ(model.logits_after(part(tokens, 0, 70)), expected[69]) << "batch " << batch;
      // The keys and values that the batches stored are read by every token from here on.
      for (std::size_t i = 70; i < kContext; ++i) {
        ASSERT_EQ(model.logits_after(part(tokens, i, 1)), expected[i]) << "batch " << batch;
      }
    }
  }
}

TEST(Transformer, every_cut_of_a_prompt_gives_the_same_bits) {
  const Image& image = ragged_image().image();
  const Tokens tokens = random_tokens(image.config().vocab_size, 21);
  const Logits expected = RunningModel(image, {kContext, 1, 1}).logits_after(tokens);
  for (std::size_t cut = 0; cut <= tokens.size(); ++cut) {
    RunningModel model(image, {kContext, 8, 1});
    model.decode(part(tokens, 0, cut));
    model.decode(part(tokens, cut, tokens.size() - cut));
    EXPECT_EQ(model->position(), 21U);
    if (cut < tokens.size()) {
      EXPECT_EQ(model.logits(), expected) << "cut at " << cut;
    }
  }
}

TEST(Transformer, no_context_length_of_the_run_changes_a_bit) {
  const Image& image = int4_image().image();
  const Tokens tokens = random_tokens(image.config().vocab_size, 9);
  const Logits expected = RunningModel(image, {kContext, 4, 1}).logits_after(tokens);
  for (const std::uint32_t context : {9U, 10U, 17U, 79U}) {
    EXPECT_EQ(RunningModel(image, {context, 4, 1}).logits_after(tokens), expected) << context;
  }
}

TEST(Transformer, no_room_for_rows_changes_a_bit) {
  for (const OpenImage* image : images()) {
    const Tokens tokens = random_tokens(image->image().config().vocab_size, 12);
    const Logits expected = RunningModel(image->image(), {kContext, 1, 1, 0}).logits_after(tokens);
    for (const std::uint32_t rows : {33U, 96U, 1000U}) {
      for (const std::uint32_t batch : {1U, 5U}) {
        RunningModel model(image->image(), {kContext, batch, 1, rows});
        EXPECT_EQ(model.logits_after(tokens), expected) << rows << " rows, batch " << batch;
      }
    }
  }
}

TEST(Transformer, rewinding_forgets_exactly_what_it_should) {
  const Image& image = ragged_image().image();
  const Tokens first = random_tokens(image.config().vocab_size, 40, 1);
  const Tokens other = random_tokens(image.config().vocab_size, 40, 2);
  RunningModel fresh(image, {kContext, 1, 1});
  const std::vector<Logits> expected = fresh.logits_after_each(first);
  RunningModel model(image, {kContext, 8, 1});
  for (const std::uint32_t position : {0U, 1U, 7U, 39U}) {
    model.rewind(0);
    model.decode(first);
    model.rewind(position);
    EXPECT_EQ(model->position(), position);
    model.decode(other);
    model.rewind(position);
    EXPECT_EQ(model.logits_after(part(first, position, 40 - position)), expected[39]) << position;
  }
}

TEST(Transformer, two_share_an_image) {
  const Image& image = int4_image().image();
  const Tokens a = random_tokens(image.config().vocab_size, 20, 1);
  const Tokens b = random_tokens(image.config().vocab_size, 20, 2);
  const auto expected_a = RunningModel(image, {kContext, 1, 1}).logits_after_each(a);
  const auto expected_b = RunningModel(image, {kContext, 1, 1}).logits_after_each(b);
  RunningModel model_a(image, {kContext, 1, 1});
  RunningModel model_b(image, {kContext, 1, 1});
  for (std::size_t i = 0; i < a.size(); ++i) {
    model_a.decode(part(a, i, 1));
    model_b.decode(part(b, i, 1));
    EXPECT_EQ(model_a.logits(), expected_a[i]);
    EXPECT_EQ(model_b.logits(), expected_b[i]);
  }
}

/// Memory with guards on both sides of an arena of `bytes` bytes.
class GuardedArena {
 public:
  explicit GuardedArena(std::size_t bytes) : memory_(bytes + 3 * kGuard, kMark), bytes_(bytes) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data() + kGuard);
    offset_ = kGuard + (kArenaAlignment - address % kArenaAlignment) % kArenaAlignment;
  }
  std::span<std::byte> span() { return std::span(memory_).subspan(offset_, bytes_); }
  std::span<std::byte> misaligned(std::size_t shift) {
    return std::span(memory_).subspan(offset_ + shift, bytes_);
  }
  bool guards_are_whole() const {
    const auto is_mark = [](std::byte byte) { return byte == kMark; };
    const auto begin = memory_.begin() + static_cast<std::ptrdiff_t>(offset_);
    return std::all_of(memory_.begin(), begin, is_mark) &&
           std::all_of(begin + static_cast<std::ptrdiff_t>(bytes_), memory_.end(), is_mark);
  }

 private:
  static constexpr std::size_t kGuard = 256;
  static constexpr std::byte kMark{0xa7};
  std::vector<std::byte> memory_;
  std::size_t bytes_;
  std::size_t offset_ = 0;
};

const RunConfig kRuns[] = {{1, 1, 1}, {kContext, 1, 1}, {kContext, 64, 67}, {33, 7, 5}};

TEST(Transformer, the_stated_arena_is_exact) {
  for (const OpenImage* image : images()) {
    for (const RunConfig& run : kRuns) {
      const std::size_t bytes = Transformer::arena_bytes(image->image(), run);
      GuardedArena arena(bytes);
      Transformer model;
      EXPECT_EQ(model.init(image->image(), run, arena.span().first(bytes - 1)),
                Status::arena_too_small);
      EXPECT_EQ(model.init(image->image(), run, {}), Status::arena_too_small);
      EXPECT_EQ(model.init(image->image(), run, arena.span()), Status::ok);
    }
  }
}

TEST(Transformer, memory_outside_the_arena_is_never_written) {
  for (const OpenImage* image : images()) {
    for (const RunConfig& run : kRuns) {
      const ModelConfig& config = image->image().config();
      GuardedArena arena(Transformer::arena_bytes(image->image(), run));
      Transformer model;
      ASSERT_EQ(model.init(image->image(), run, arena.span()), Status::ok);
      const Tokens tokens = random_tokens(config.vocab_size, run.context_length);
      ASSERT_EQ(model.decode(tokens), Status::ok);
      Sampler sampler;
      EXPECT_EQ(model.candidates(sampler).size(), run.candidates);
      EXPECT_TRUE(arena.guards_are_whole());
    }
  }
}

TEST(Transformer, a_misaligned_arena_is_refused) {
  const Image& image = int4_image().image();
  const RunConfig run = {8, 1, 1};
  GuardedArena arena(Transformer::arena_bytes(image, run));
  for (std::size_t shift = 1; shift < kArenaAlignment; ++shift) {
    Transformer model;
    EXPECT_EQ(model.init(image, run, arena.misaligned(shift)), Status::arena_misaligned);
  }
}

TEST(Transformer, no_byte_that_the_arena_held_before_changes_a_bit) {
  for (const OpenImage* image : images()) {
    const RunConfig run = {kContext, 8, 1};
    const Tokens tokens = random_tokens(image->image().config().vocab_size, 21);
    const Logits expected = RunningModel(image->image(), run).logits_after(tokens);
    for (const int filling : {0x01, 0x7f, 0x80, 0xff}) {
      RunningModel model(image->image(), run, std::byte(filling));
      EXPECT_EQ(model.logits_after(tokens), expected) << filling;
    }
    GuardedArena arena(Transformer::arena_bytes(image->image(), run));
    test::Random random(5);
    for (std::byte& byte : arena.span()) byte = std::byte(random.below(256));
    Transformer model;
    ASSERT_EQ(model.init(image->image(), run, arena.span()), Status::ok);
    ASSERT_EQ(model.decode(tokens), Status::ok);
    Logits logits(expected.size());
    model.logits(logits);
    EXPECT_EQ(logits, expected);
  }
}

/// `bytes` with other numbers in the lanes that fill the last block of each row (int8 only).
test::Bytes with_noise_in_padding(const test::Bytes& bytes) {
  test::DamagedImage image(bytes);
  for (const test::SpecSection& section : test::parse_image(bytes).sections) {
    if (section.format != 1) continue;
    for (std::uint64_t row = 0; row < section.rows; ++row) {
      for (std::uint64_t lane = section.columns; lane < section.row_bytes(); ++lane) {
        image.put(section.offset + section.weights_offset() + row * section.row_bytes() + lane,
                  0x7f, 1);
      }
    }
  }
  image.seal();
  return image.bytes();
}

TEST(Transformer, lanes_that_only_fill_a_block_count_for_nothing) {
  const Image& image = ragged_image().image();
  const RunConfig run = {kContext, 8, 1};
  const Tokens tokens = random_tokens(image.config().vocab_size, 21);
  const test::Bytes bytes(image.bytes().begin(), image.bytes().end());
  const OpenImage noisy(with_noise_in_padding(bytes));
  EXPECT_EQ(RunningModel(noisy.image(), run, std::byte{0xff}).logits_after(tokens),
            RunningModel(image, run).logits_after(tokens));
}

TEST(Transformer, starting_again_in_a_used_arena_changes_no_bit) {
  const Image& image = ragged_image().image();
  const RunConfig run = {kContext, 8, 1};
  const Tokens tokens = random_tokens(image.config().vocab_size, 30);
  const Logits expected = RunningModel(image, run).logits_after(tokens);
  GuardedArena arena(Transformer::arena_bytes(image, run));
  Logits logits(expected.size());
  for (int time = 0; time < 2; ++time) {
    Transformer model;
    ASSERT_EQ(model.init(image, run, arena.span()), Status::ok);
    ASSERT_EQ(model.decode(tokens), Status::ok);
    model.logits(logits);
    EXPECT_EQ(logits, expected);
  }
}

TEST(Transformer, a_failed_decode_changes_nothing) {
  const Image& image = ragged_image().image();
  const std::uint32_t vocab_size = image.config().vocab_size;
  const Tokens tokens = random_tokens(vocab_size, 12);
  const auto expected = RunningModel(image, {12, 1, 1}).logits_after_each(tokens);
  RunningModel model(image, {12, 4, 1});
  model.decode(part(tokens, 0, 7));
  EXPECT_EQ(model->decode(random_tokens(vocab_size, 6)), Status::context_full);
  EXPECT_EQ(model->decode(Tokens(1000, 1)), Status::context_full);
  for (const std::uint32_t unknown : {vocab_size, vocab_size + 1, 0xffffffffU}) {
    EXPECT_EQ(model->decode(Tokens{1, 2, unknown}), Status::token_out_of_range);
  }
  EXPECT_EQ(model->decode({}), Status::ok);
  EXPECT_EQ(model->position(), 7U);
  EXPECT_EQ(model.logits(), expected[6]);
  EXPECT_EQ(model.logits_after(part(tokens, 7, 5)), expected[11]);
  EXPECT_EQ(model->decode(part(tokens, 0, 1)), Status::context_full);
  EXPECT_EQ(model.logits(), expected[11]);
}

TEST(Transformer, refuses_runs_that_do_not_fit_the_model) {
  const Image& image = ragged_image().image();
  const std::uint32_t vocab_size = image.config().vocab_size;
  std::vector<std::byte> memory(1U << 22);
  const RunConfig refused[] = {{0, 1, 1},
                               {kContext + 1, 1, 1},
                               {0xffffffffU, 1, 1},
                               {kContext, 0, 1},
                               {kContext, kMaxBatch + 1, 1},
                               {kContext, 1, 0},
                               {kContext, 1, vocab_size + 1}};
  for (const RunConfig& run : refused) {
    Transformer model;
    EXPECT_EQ(model.init(image, run, memory), Status::bad_run_config);
  }
}

TEST(Transformer, a_failed_start_leaves_the_running_model_as_it_was) {
  const Image& image = ragged_image().image();
  const Tokens tokens = random_tokens(image.config().vocab_size, 6);
  RunningModel model(image, {20, 2, 3});
  const Logits expected = model.logits_after(tokens);
  std::vector<std::byte> memory(64);
  EXPECT_EQ(model->init(int4_image().image(), {0, 1, 1}, memory), Status::bad_run_config);
  EXPECT_EQ(model->init(int4_image().image(), {8, 1, 1}, memory), Status::arena_too_small);
  EXPECT_EQ(model->position(), 6U);
  EXPECT_EQ(model->run_config().candidates, 3U);
  EXPECT_EQ(model->config().dim, 90U);
  EXPECT_EQ(model.logits(), expected);
}

TEST(Transformer, candidates_are_the_best_logits) {
  const Image& image = int4_image().image();
  const Tokens tokens = random_tokens(image.config().vocab_size, 10);
  for (const std::uint32_t count : {1U, 7U, 300U}) {
    RunningModel model(image, {kContext, 4, count});
    const Logits logits = model.logits_after(tokens);
    std::vector<Candidate> expected;
    for (std::uint32_t token = 0; token < logits.size(); ++token) {
      expected.push_back({logits[token], token});
    }
    std::sort(expected.begin(), expected.end());
    Sampler sampler;
    for (int time = 0; time < 2; ++time) {
      const auto best = model->candidates(sampler);
      ASSERT_EQ(best.size(), count);
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(best[i].token, expected[i].token);
        EXPECT_EQ(best[i].logit, expected[i].logit);
      }
    }
  }
}

TEST(TransformerDeathTest, results_need_a_decode) {
  RunningModel model(ragged_image().image(), {kContext, 1, 1});
  EXPECT_DEATH(model.logits(), "");
  model.decode(Tokens{1});
  model.rewind(0);
  EXPECT_DEATH(model.logits(), "");
  EXPECT_DEATH(model.rewind(1), "");
}

}  // namespace
}  // namespace mote
