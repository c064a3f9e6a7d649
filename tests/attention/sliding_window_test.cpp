// SPDX-License-Identifier: Apache-2.0
// SlidingWindowAttention against causal attention restricted to the same positions, bit for bit,
// and against double.
#include "mote/sliding_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "attention/attend.hpp"
#include "attention/rows.hpp"
#include "support/poison.hpp"

namespace mote {
namespace {

using test::collect;
using test::Output;
using test::Random;
using test::random_row;
using test::real;
using test::Row;

/// What position p attends to, from the definition: sinks outside the window, then the window.
struct Attended {
  std::vector<std::uint32_t> sinks;
  std::vector<std::uint32_t> window;
};

Attended attended(const SlidingWindowShape& shape, std::uint32_t position) {
  Attended result;
  const std::int64_t begin = std::max<std::int64_t>(0, std::int64_t{position} - shape.window + 1);
  for (std::int64_t t = 0; t < std::min<std::int64_t>(begin, shape.sinks); ++t) {
    result.sinks.push_back(static_cast<std::uint32_t>(t));
  }
  for (std::int64_t t = begin; t <= position; ++t) {
    result.window.push_back(static_cast<std::uint32_t>(t));
  }
  return result;
}

/// Keys and values of one K/V head in the order of positions, as a causal cache has them.
struct Story {
  std::uint32_t head_size = 0;
  std::vector<std::int8_t> keys;    // (count, head_size)
  std::vector<std::int8_t> values;  // (count, head_size)
  std::vector<Scale16> key_scales;
  std::vector<Scale16> value_scales;

  Story(Random& random, std::uint32_t size, std::uint32_t count) : head_size(size) {
    for (std::uint32_t t = 0; t < count; ++t)
      push(random_row(random, size), random_row(random, size));
  }
  void push(const Row& key, const Row& value) {
    keys.insert(keys.end(), key.values.begin(), key.values.end());
    values.insert(values.end(), value.values.begin(), value.values.end());
    key_scales.push_back(key.scale);
    value_scales.push_back(value.scale);
  }
  QuantizedVector key(std::size_t t) const { return {&keys[t * head_size], key_scales[t]}; }
  QuantizedVector value(std::size_t t) const { return {&values[t * head_size], value_scales[t]}; }
  KvSegment segment(std::size_t t, std::size_t count) const {
    return {keys.data() + t * head_size, values.data() + t * head_size, key_scales.data() + t,
            value_scales.data() + t, static_cast<std::uint32_t>(count)};
  }
  void store(SlidingWindowAttention& attention, std::uint32_t position, std::uint32_t kv_head = 0,
             std::uint32_t place = 0) const {
    attention.store(place + position, kv_head, key(position), value(position));
  }
  /// Causal attention restricted to these positions.
  Output expected(const Attended& at, QuantizedVector query, QuantizedVector sink_query) const {
    const KvSegment segments[] = {segment(0, at.sinks.size()),
                                  segment(at.window[0], at.window.size())};
    const QuantizedVector queries[] = {sink_query, query};
    std::vector<std::uint32_t> scratch(at.sinks.size() + at.window.size());
    return collect(head_size, [&](WideVector& out) {
      attend_segments(out, scratch, segments, queries, attention_scale(head_size));
    });
  }
};

std::vector<std::byte> state_for(const SlidingWindowShape& shape, unsigned fill = 0xa5) {
  return std::vector<std::byte>(SlidingWindowAttention::state_bytes(shape),
                                static_cast<std::byte>(fill));
}

Output attend(const SlidingWindowAttention& attention, std::uint32_t position, std::uint32_t head,
              QuantizedVector query, QuantizedVector sink_query) {
  // No longer than promised, so that the sanitizer sees one score too many.
  std::vector<std::uint32_t> scratch(SlidingWindowAttention::scratch_count(attention.shape()));
  return collect(attention.shape().head_size, [&](WideVector& out) {
    attention.attend(out, scratch, position, head, query, sink_query);
  });
}

Output attend(const SlidingWindowAttention& attention, std::uint32_t position, std::uint32_t head,
              QuantizedVector query) {
  return attend(attention, position, head, query, query);
}

/// Walks 10 windows of one head; every position must give the bits of restricted causal attention.
void expect_restricted(const Story& story, std::uint32_t window, std::uint32_t sinks) {
  const SlidingWindowShape shape = {1, 1, story.head_size, window, sinks};
  std::vector<std::byte> state = state_for(shape);
  SlidingWindowAttention attention(shape, state);
  const std::uint32_t stride = test::kThinned ? window / 2 + 1 : 1;
  for (std::uint32_t position = 0; position < 10 * window; ++position) {
    story.store(attention, position);
    if (position >= 2 * window + sinks && position % stride != 0) continue;
    const QuantizedVector query = story.key(10 * window - 1 - position);
    ASSERT_EQ(attend(attention, position, 0, query),
              story.expected(attended(shape, position), query, query))
        << "position " << position << ", window " << window << ", sinks " << sinks;
  }
}

// Every window from 1 to 70 and position to 10 windows for each head size; small heads meet every
// number of sinks, others one number for each window, all in turn.
TEST(SlidingWindow, equals_restricted_causal_attention_bit_for_bit) {
  Random random(1);
  for (const std::uint32_t head_size : {4U, 8U, 24U, 64U, 80U, 128U}) {
    const Story story(random, head_size, 700);
    for (std::uint32_t window = 1; window <= 70; ++window) {
      for (std::uint32_t sinks = 0; sinks <= 5; ++sinks) {
        const bool every = head_size == 4 && (!test::kThinned || window <= 10);
        if (!every && sinks != (window + head_size / 4) % 6) continue;
        expect_restricted(story, window, sinks);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

// The same through the class CausalAttention, whose context holds the restricted positions alone.
TEST(SlidingWindow, equals_a_causal_cache_of_the_same_positions) {
  Random random(2);
  const Story story(random, 24, 200);
  const SlidingWindowShape shape = {1, 1, 24, 17, 3};
  std::vector<std::byte> state = state_for(shape);
  SlidingWindowAttention attention(shape, state);
  const AttentionShape restricted = {1, 1, 24, 20};
  for (std::uint32_t position = 0; position < 200; ++position) {
    story.store(attention, position);
    std::vector<std::byte> causal_state(CausalAttention::state_bytes(restricted));
    CausalAttention causal(restricted, causal_state);
    const Attended at = attended(shape, position);
    std::uint32_t count = 0;
    for (const auto* part : {&at.sinks, &at.window}) {
      for (const std::uint32_t t : *part) causal.store(count++, 0, story.key(t), story.value(t));
    }
    std::vector<std::uint32_t> scratch(count);
    const Row query = random_row(random, 24);
    const Output expected = collect(
        24, [&](WideVector& out) { causal.attend(out, scratch, count - 1, 0, query.view()); });
    ASSERT_EQ(attend(attention, position, 0, query.view()), expected) << position;
  }
}

TEST(SlidingWindow, sinks_outside_the_window_meet_their_own_query) {
  Random random(3);
  const Story story(random, 16, 60);
  for (const std::uint32_t window : {1U, 2U, 7U, 20U}) {
    for (const std::uint32_t sinks : {1U, 4U, 5U, 30U}) {
      const SlidingWindowShape shape = {1, 1, 16, window, sinks};
      std::vector<std::byte> state = state_for(shape);
      SlidingWindowAttention attention(shape, state);
      for (std::uint32_t position = 0; position < 60; ++position) {
        story.store(attention, position);
        const Row query = random_row(random, 16);
        const Row sink_query = random_row(random, 16);
        const Attended at = attended(shape, position);
        ASSERT_EQ(SlidingWindowAttention::sinks_outside(shape, position), at.sinks.size());
        ASSERT_EQ(attend(attention, position, 0, query.view(), sink_query.view()),
                  story.expected(at, query.view(), sink_query.view()))
            << "position " << position << ", window " << window << ", sinks " << sinks;
      }
    }
  }
}

TEST(SlidingWindow, grouped_queries_read_their_head) {
  Random random(4);
  for (const std::uint32_t kv_heads : {1U, 2U, 4U}) {
    const SlidingWindowShape shape = {8, kv_heads, 12, 9, 2};
    std::vector<Story> stories;
    for (std::uint32_t h = 0; h < kv_heads; ++h) stories.emplace_back(random, 12, 50);
    std::vector<std::byte> state = state_for(shape);
    SlidingWindowAttention attention(shape, state);
    for (std::uint32_t position = 0; position < 50; ++position) {
      for (std::uint32_t h = 0; h < kv_heads; ++h) stories[h].store(attention, position, h);
      for (std::uint32_t head = 0; head < 8; ++head) {
        const Row query = random_row(random, 12);
        ASSERT_EQ(attend(attention, position, head, query.view()),
                  stories[head * kv_heads / 8].expected(attended(shape, position), query.view(),
                                                        query.view()));
      }
    }
  }
}

// Slots that no position has filled may hold anything.
TEST(SlidingWindow, rows_not_yet_stored_are_not_read) {
  Random random(5);
  const Story story(random, 8, 40);
  const SlidingWindowShape shape = {1, 1, 8, 20, 4};
  std::vector<std::byte> ones = state_for(shape, 0xff);
  std::vector<std::byte> zeros = state_for(shape, 0x00);
  SlidingWindowAttention a(shape, ones);
  SlidingWindowAttention b(shape, zeros);
  for (std::uint32_t position = 0; position < 40; ++position) {
    story.store(a, position);
    story.store(b, position);
    ASSERT_EQ(attend(a, position, 0, story.key(0)), attend(b, position, 0, story.key(0)));
  }
}

// Evicted keys that would have taken all the weight leave nothing behind.
// Under the address sanitizer: neither the rows that no position has filled, nor those of another
// head, are touched.
TEST(SlidingWindow, rows_of_no_position_are_never_touched) {
  constexpr std::size_t kHead = 16;
  const SlidingWindowShape shape = {2, 2, kHead, 8, 2};
  constexpr std::size_t kRows = 10;  // of one head
  Random random(31);
  std::vector<std::byte> memory(SlidingWindowAttention::state_bytes(shape) + 15);
  std::span<std::byte> state = memory;
  state = state.subspan(-reinterpret_cast<std::uintptr_t>(memory.data()) % 16);
  SlidingWindowAttention attention(shape, state);
  std::vector<std::uint32_t> scratch(SlidingWindowAttention::scratch_count(shape));
  for (std::uint32_t position = 0; position < 40; ++position) {
    const Row key = random_row(random, kHead);
    attention.store(position, 0, key.view(), key.view());
    const std::size_t filled = std::min<std::size_t>(position + 1, kRows) * kHead;
    constexpr std::size_t kBytes = 2 * kRows * kHead;  // of the keys, and of the values
    const test::Poison keys(state.subspan(filled, kBytes - filled));
    const test::Poison values(state.subspan(kBytes + filled, kBytes - filled));
    const Output output = collect(
        kHead, [&](WideVector& out) { attention.attend(out, scratch, position, 0, key.view()); });
    EXPECT_EQ(output.values.size(), kHead);
  }
}

TEST(SlidingWindow, evicted_rows_have_exactly_no_weight) {
  Random random(6);
  const SlidingWindowShape shape = {1, 1, 8, 13, 3};
  const Story story(random, 8, 100);
  Story poisoned = story;
  for (std::size_t t = 3; t < 60; ++t) poisoned.key_scales[t] = {kScale16Max};
  for (std::size_t t = 3; t < 60; ++t) poisoned.value_scales[t] = {kScale16Max};
  std::vector<std::byte> clean = state_for(shape);
  std::vector<std::byte> dirty = state_for(shape);
  SlidingWindowAttention a(shape, clean);
  SlidingWindowAttention b(shape, dirty);
  for (std::uint32_t position = 0; position < 100; ++position) {
    story.store(a, position);
    poisoned.store(b, position);
    const bool equal = attend(a, position, 0, story.key(1)) == attend(b, position, 0, story.key(1));
    // The last poisoned row is position 59, and the window reaches 12 back.
    const bool none_in_window = position < 3 || position > 59 + 12;
    ASSERT_TRUE(equal || !none_in_window) << position;
    ASSERT_TRUE(!equal || position != 40) << "the poison shows while it is in the window";
  }
}

TEST(SlidingWindow, any_position_of_32_bits) {
  Random random(7);
  for (const std::uint32_t window : {1U, 6U, 10U, 16U}) {
    for (const std::uint32_t sinks : {0U, 1U, 3U}) {
      const Story first(random, 8, 3);
      const Story last(random, 8, 50);
      const SlidingWindowShape shape = {1, 1, 8, window, sinks};
      std::vector<std::byte> state = state_for(shape);
      SlidingWindowAttention attention(shape, state);
      for (std::uint32_t t = 0; t < sinks; ++t) first.store(attention, t);
      const std::uint32_t base = UINT32_MAX - 49;
      for (std::uint32_t i = 0; i < 50; ++i) {
        last.store(attention, i, 0, base);
        if (i + 1 < window) continue;
        std::vector<std::uint32_t> scratch(sinks + window);
        const KvSegment segments[] = {first.segment(0, sinks),
                                      last.segment(i + 1 - window, window)};
        const Output expected = collect(8, [&](WideVector& out) {
          attend_segments(out, scratch, segments, last.key(0), attention_scale(8));
        });
        ASSERT_EQ(attend(attention, base + i, 0, last.key(0)), expected) << i;
      }
    }
  }
}

TEST(SlidingWindow, a_second_view_continues) {
  Random random(8);
  const Story story(random, 8, 30);
  const SlidingWindowShape shape = {1, 1, 8, 5, 2};
  std::vector<std::byte> state = state_for(shape);
  for (std::uint32_t position = 0; position < 30; ++position) {
    SlidingWindowAttention view(shape, state);
    story.store(view, position);
  }
  EXPECT_EQ(attend(SlidingWindowAttention(shape, state), 29, 0, story.key(3)),
            story.expected(attended(shape, 29), story.key(3), story.key(3)));
}

TEST(SlidingWindow, state_bytes_are_exact_and_used_to_the_end) {
  static_assert(SlidingWindowAttention::state_bytes({4, 4, 32, 508, 4}) == 2 * (32 + 2) * 4 * 512);
  static_assert(SlidingWindowAttention::scratch_count({4, 4, 32, 508, 4}) == 512);
  Random random(9);
  for (const std::uint32_t sinks : {0U, 3U}) {
    const SlidingWindowShape shape = {8, 8, 4, 8 - sinks, sinks};
    const Story story(random, 4, 100);
    const std::size_t own = SlidingWindowAttention::state_bytes(shape);
    std::vector<std::byte> memory(own + 128, std::byte{0xa5});
    SlidingWindowAttention attention(shape, std::span(memory).subspan(64, own));
    for (std::uint32_t position = 0; position < 100; ++position) {
      for (std::uint32_t h = 0; h < 8; ++h) story.store(attention, position, h);
    }
    EXPECT_NE(memory[64 + own - 1], std::byte{0xa5});
    EXPECT_EQ(std::ranges::count(std::span(memory).first(64), std::byte{0xa5}), 64);
    EXPECT_EQ(std::ranges::count(std::span(memory).subspan(64 + own), std::byte{0xa5}), 64);
  }
}

// Counted, not timed: once the window is full the work of a token stays what it is.
TEST(SlidingWindow, work_of_a_token_is_flat) {
  Random random(10);
  const SlidingWindowShape shape = {1, 1, 8, 60, 4};
  const Story story(random, 8, 1);
  std::vector<std::byte> state = state_for(shape);
  SlidingWindowAttention attention(shape, state);
  for (std::uint32_t position = 0; position < 16384; ++position) {
    attention.store(position, 0, story.key(0), story.value(0));
    const std::uint32_t expected = std::min<std::uint32_t>(position + 1, 64);
    ASSERT_EQ(SlidingWindowAttention::positions_attended(shape, position), expected);
    if (position > 128 && position % 1000 != 0) continue;
    test::TracedScratch scratch(SlidingWindowAttention::scratch_count(shape));
    collect(8, [&](WideVector& out) {
      attention.attend(out, scratch.words(), position, 0, story.key(0));
    });
    ASSERT_EQ(scratch.positions_visited(), expected);
  }
}

/// The definition in double.
std::vector<double> exact_attention(const Story& story, const Attended& at, const Row& query,
                                    const Row& sink_query) {
  std::vector<double> scores;
  std::vector<std::uint32_t> positions;
  for (const auto* part : {&at.sinks, &at.window}) {
    const Row& row = part == &at.sinks ? sink_query : query;
    for (const std::uint32_t t : *part) {
      double dot = 0;
      for (std::size_t i = 0; i < story.head_size; ++i)
        dot += row.values[i] * story.key(t).values[i];
      scores.push_back(dot * real(row.scale) * real(story.key_scales[t]) /
                       std::sqrt(story.head_size));
      positions.push_back(t);
    }
  }
  const double largest = *std::ranges::max_element(scores);
  std::vector<double> out(story.head_size);
  double sum = 0;
  for (std::size_t s = 0; s < scores.size(); ++s) {
    const double weight = std::exp(scores[s] - largest);
    sum += weight;
    const double scaled = weight * real(story.value_scales[positions[s]]);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] += scaled * story.value(positions[s]).values[i];
    }
  }
  for (double& lane : out) lane /= sum;
  return out;
}

/// The largest relative error at the ends of streams of up to 4,096 attended positions, whose key
/// and value at a position `change` may alter.
using Change = std::function<void(Row& key, Row& value, std::uint32_t position)>;

double worst_error(Random& random, const Change& change) {
  test::Worst worst;
  for (const std::uint32_t attended_count : {5U, 16U, 17U, 256U, 1000U, 4096U}) {
    for (const std::uint32_t head_size : {4U, 64U, 80U}) {
      const SlidingWindowShape shape = {1, 1, head_size, attended_count - 4, 4};
      std::vector<std::byte> state = state_for(shape);
      SlidingWindowAttention attention(shape, state);
      Story story(random, head_size, 0);
      const std::uint32_t count = 2 * attended_count + 3;
      for (std::uint32_t t = 0; t < count; ++t) {
        Row key = random_row(random, head_size);
        Row value = random_row(random, head_size);
        key.scale = test::scale_of(3.0 / 127);
        change(key, value, t);
        story.push(key, value);
        story.store(attention, t);
      }
      Row query = random_row(random, head_size);
      Row sink_query = random_row(random, head_size);
      query.scale = sink_query.scale = test::scale_of(1.0 / 127);
      for (std::uint32_t i = 0; i < head_size; ++i) query.values[i] = i % 2 == 0 ? 127 : -127;
      const Output out = attend(attention, count - 1, 0, query.view(), sink_query.view());
      worst.offer(test::relative_error(
                      out, exact_attention(story, attended(shape, count - 1), query, sink_query)),
                  attended_count);
    }
  }
  test::record("relative_error", worst.value);
  return worst.value;
}

constexpr double kBound = 0.005;

TEST(SlidingWindowError, random) {
  Random random(11);
  EXPECT_LE(worst_error(random, [](Row&, Row&, std::uint32_t) {}), kBound);
}

TEST(SlidingWindowError, one_huge_score) {
  Random random(12);
  const auto change = [](Row& key, Row&, std::uint32_t t) {
    if (t != 1) return;
    key.scale = test::scale_of(1000);
  };
  EXPECT_LE(worst_error(random, change), kBound);
}

TEST(SlidingWindowError, all_equal) {
  Random random(13);
  const auto change = [](Row& key, Row&, std::uint32_t) {
    std::ranges::fill(key.values, std::int8_t{5});
  };
  EXPECT_LE(worst_error(random, change), kBound);
}

TEST(SlidingWindowError, alternating_extremes) {
  Random random(14);
  const auto change = [](Row& key, Row& value, std::uint32_t t) {
    for (std::size_t i = 0; i < key.values.size(); ++i) {
      key.values[i] = (t + i) % 2 == 0 ? 127 : -128;
      value.values[i] = t % 2 == 0 ? 127 : -128;
    }
  };
  EXPECT_LE(worst_error(random, change), kBound);
}

TEST(SlidingWindow, two_heads_together_give_the_bits_of_each) {
  Random random(41);
  const SlidingWindowShape shape = {4, 2, 16, 12, 3};
  const Story story(random, shape.head_size, 40);
  std::vector<std::byte> state(SlidingWindowAttention::state_bytes(shape));
  SlidingWindowAttention attention(shape, state);
  std::vector<std::uint32_t> scratch(2 * SlidingWindowAttention::scratch_count(shape));
  for (std::uint32_t position = 0; position < 40; ++position) {
    for (std::uint32_t h = 0; h < 2; ++h) story.store(attention, position, h);
    for (std::uint32_t head = 0; head < 3; ++head) {
      const Row rows[2] = {random_row(random, 16), random_row(random, 16)};
      std::vector<std::int64_t> values(32, -1);
      WideVector both[2] = {{std::span(values).first(16), {}}, {std::span(values).last(16), {}}};
      attention.attend_two(both, scratch, position, head, {rows[0].view(), rows[1].view()});
      for (std::uint32_t h = 0; h < 2; ++h) {
        const Output expected = collect(16, [&](WideVector& out) {
          attention.attend(out, scratch, position, head + h, rows[h].view());
        });
        ASSERT_TRUE(std::ranges::equal(both[h].values, expected.values)) << position;
        ASSERT_EQ(both[h].unit.mantissa, expected.mantissa);
        ASSERT_EQ(both[h].unit.exponent, expected.exponent);
      }
    }
  }
}

}  // namespace
}  // namespace mote
