// SPDX-License-Identifier: Apache-2.0
// CausalAttention: which keys and values a head reads, and that it reads no others.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "attention/attend.hpp"
#include "attention/rows.hpp"
#include "mote/attention.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::collect;
using test::Output;
using test::Random;
using test::random_row;
using test::Row;

Output attend_head(const CausalAttention& attention, std::uint32_t position, std::uint32_t head,
                   const Row& query) {
  // No longer than promised, so that the sanitizer sees one score too many.
  std::vector<std::uint32_t> scratch(CausalAttention::scratch_count(attention.shape()));
  return collect(attention.shape().head_size, [&](WideVector& out) {
    attention.attend(out, scratch, position, head, query.view());
  });
}

/// Keys and values of all positions, kept apart from the object under test.
struct Story {
  AttentionShape shape;
  std::vector<Row> keys;    // (n_kv_heads, context_length)
  std::vector<Row> values;  // (n_kv_heads, context_length)

  Story(const AttentionShape& of, Random& random) : shape(of) {
    for (std::uint32_t i = 0; i < of.n_kv_heads * of.context_length; ++i) {
      keys.push_back(random_row(random, of.head_size));
      values.push_back(random_row(random, of.head_size));
    }
  }
  void store(CausalAttention& attention, std::uint32_t position) const {
    for (std::uint32_t h = 0; h < shape.n_kv_heads; ++h) {
      const std::size_t i = std::size_t{h} * shape.context_length + position;
      attention.store(position, h, keys[i].view(), values[i].view());
    }
  }
  /// Attention over positions 0 to `position`, each a segment of its own.
  Output expected(std::uint32_t position, std::uint32_t kv_head, const Row& query) const {
    std::vector<KvSegment> segments;
    for (std::uint32_t t = 0; t <= position; ++t) {
      const std::size_t i = std::size_t{kv_head} * shape.context_length + t;
      segments.push_back(
          {keys[i].values.data(), values[i].values.data(), &keys[i].scale, &values[i].scale, 1});
    }
    std::vector<std::uint32_t> scratch(segments.size());
    return collect(shape.head_size, [&](WideVector& out) {
      attend_segments(out, scratch, segments, query.view(), attention_scale(shape.head_size));
    });
  }
};

std::vector<std::byte> state_for(const AttentionShape& shape) {
  return std::vector<std::byte>(CausalAttention::state_bytes(shape), std::byte{0xa5});
}

/// Stores and attends position by position; every head must read its own K/V head, and the past.
void expect_causal(const AttentionShape& shape, std::uint64_t seed) {
  Random random(seed);
  const Story story(shape, random);
  std::vector<std::byte> state = state_for(shape);
  CausalAttention attention(shape, state);
  const std::uint32_t group = shape.n_heads / shape.n_kv_heads;
  for (std::uint32_t position = 0; position < shape.context_length; ++position) {
    story.store(attention, position);
    for (std::uint32_t head = 0; head < shape.n_heads; ++head) {
      const Row query = random_row(random, shape.head_size);
      ASSERT_EQ(attend_head(attention, position, head, query),
                story.expected(position, head / group, query))
          << "position " << position << ", head " << head;
    }
  }
}

TEST(CausalAttention, multi_head) {
  expect_causal({4, 4, 16, 33}, 1);
}

TEST(CausalAttention, grouped_query) {
  expect_causal({8, 2, 8, 20}, 2);
  expect_causal({6, 3, 5, 17}, 3);
}

TEST(CausalAttention, multi_query) {
  expect_causal({5, 1, 7, 19}, 4);
}

TEST(CausalAttention, smallest_and_largest_head) {
  expect_causal({1, 1, 1, 1}, 5);
  expect_causal({2, 1, 256, 16}, 6);
}

// A later position of any content, even a score that would take all the weight, has none.
TEST(CausalAttention, later_positions_have_exactly_no_weight) {
  const AttentionShape shape = {4, 2, 12, 24};
  Random random(7);
  const Story story(shape, random);
  std::vector<std::byte> clean = state_for(shape);
  std::vector<std::byte> dirty = state_for(shape);
  CausalAttention before(shape, clean);
  CausalAttention after(shape, dirty);
  for (std::uint32_t position = 0; position < shape.context_length; ++position) {
    story.store(before, position);
    story.store(after, position);
  }
  Row garbage = random_row(random, shape.head_size);
  garbage.scale.bits = kScale16Max;
  for (std::uint32_t position = shape.context_length - 1; position > 0; --position) {
    for (std::uint32_t h = 0; h < shape.n_kv_heads; ++h) {
      after.store(position, h, garbage.view(), garbage.view());
    }
    for (std::uint32_t head = 0; head < shape.n_heads; ++head) {
      const Row query = random_row(random, shape.head_size);
      ASSERT_EQ(attend_head(after, position - 1, head, query),
                attend_head(before, position - 1, head, query));
    }
  }
}

TEST(CausalAttention, a_second_view_continues) {
  const AttentionShape shape = {2, 2, 6, 9};
  Random random(8);
  const Story story(shape, random);
  std::vector<std::byte> state = state_for(shape);
  for (std::uint32_t position = 0; position < shape.context_length; ++position) {
    CausalAttention view(shape, state);
    story.store(view, position);
  }
  const Row query = random_row(random, shape.head_size);
  EXPECT_EQ(attend_head(CausalAttention(shape, state), 8, 1, query), story.expected(8, 1, query));
}

TEST(CausalAttention, state_may_begin_at_any_even_address) {
  const AttentionShape shape = {1, 1, 6, 9};
  Random random(9);
  const Story story(shape, random);
  std::vector<std::byte> state(CausalAttention::state_bytes(shape) + 2);
  CausalAttention attention(shape, std::span(state).subspan(2));
  for (std::uint32_t position = 0; position < 9; ++position) story.store(attention, position);
  const Row query = random_row(random, shape.head_size);
  EXPECT_EQ(attend_head(attention, 8, 0, query), story.expected(8, 0, query));
}

std::size_t round_up_16(std::size_t bytes) {
  return bytes % 16 == 0 ? bytes : bytes + 16 - bytes % 16;
}

TEST(CausalAttention, state_bytes_are_exact) {
  for (const std::uint32_t kv_heads : {1U, 3U, 8U}) {
    for (const std::uint32_t head_size : {1U, 5U, 64U}) {
      for (const std::uint32_t context : {1U, 7U, 256U}) {
        const std::size_t rows = std::size_t{kv_heads} * context;
        EXPECT_EQ(CausalAttention::state_bytes({kv_heads, kv_heads, head_size, context}),
                  2 * round_up_16(rows * head_size) + 2 * round_up_16(rows * 2));
      }
    }
  }
  // Without rounding it is 2 * (head_size + 2) a row.
  EXPECT_EQ(CausalAttention::state_bytes({4, 4, 32, 512}), 2U * (32 + 2) * 4 * 512);
  EXPECT_EQ(CausalAttention::scratch_count({4, 4, 32, 512}), 512U);
}

// The last row of the last part ends where the state ends, and nothing is written beyond it.
TEST(CausalAttention, state_is_used_to_its_end) {
  const AttentionShape shape = {8, 8, 4, 8};
  Random random(10);
  const Story story(shape, random);
  std::vector<std::byte> state = state_for(shape);
  const std::size_t own = state.size();
  state.resize(own + 64, std::byte{0xa5});
  CausalAttention attention(shape, state);
  for (std::uint32_t position = 0; position < 8; ++position) story.store(attention, position);
  EXPECT_NE(state[own - 1], std::byte{0xa5});
  EXPECT_EQ(std::ranges::count(std::span(state).subspan(own), std::byte{0xa5}), 64);
}

// The work of a token grows with its position and is nothing else's function.
TEST(CausalAttention, every_position_so_far_is_visited_once) {
  const AttentionShape shape = {1, 1, 8, 4096};
  Random random(11);
  const Story story(shape, random);
  std::vector<std::byte> state = state_for(shape);
  CausalAttention attention(shape, state);
  const Row query = random_row(random, shape.head_size);
  for (std::uint32_t position = 0; position < shape.context_length; ++position) {
    story.store(attention, position);
    if ((position & (position + 1)) != 0) continue;
    test::TracedScratch scratch(CausalAttention::scratch_count(shape));
    collect(shape.head_size, [&](WideVector& out) {
      attention.attend(out, scratch.words(), position, 0, query.view());
    });
    EXPECT_EQ(scratch.positions_visited(), position + 1);
    EXPECT_EQ(CausalAttention::positions_attended(position), position + 1);
  }
}

TEST(Quantize, is_the_wide_result_within_half_a_step) {
  Random random(12);
  test::Worst worst;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::int64_t> lanes(1 + random.below(256));
    for (std::int64_t& lane : lanes) lane = random.awkward_signed(1 + static_cast<int>(i % 43));
    const WideVector wide = {lanes, {static_cast<std::uint32_t>(1 + random.below(1 << 20)), -55}};
    std::vector<std::int8_t> out(lanes.size());
    const Scale16 scale = quantize(out.data(), wide);
    if (scale.value() < 2048) continue;
    for (std::size_t j = 0; j < lanes.size(); ++j) {
      const double steps =
          static_cast<double>(lanes[j]) * test::real(wide.unit) / test::real(scale);
      worst.offer(std::abs(out[j] - steps), i);
    }
  }
  test::record("worst_steps", worst.value);
  EXPECT_LE(worst.value, 0.5 + std::ldexp(1.0, -10));
}

}  // namespace
}  // namespace mote
