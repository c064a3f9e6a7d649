// SPDX-License-Identifier: Apache-2.0
// Integer attention against attention in double over the same int8 inputs.
#include "attention/attend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "mote/config.hpp"
#include "support/attention_cases.hpp"
#include "support/oracle.hpp"
#include "support/plain_attention.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;
using test::real;
using test::Worst;

constexpr double kBound = 0.005;

/// Keys and values of one head, and a query.
struct Cache {
  std::size_t head_size = 0;
  std::vector<std::int8_t> query;
  std::vector<std::int8_t> keys;    // (count, head_size)
  std::vector<std::int8_t> values;  // (count, head_size)
  std::vector<Scale16> key_scales;
  std::vector<Scale16> value_scales;
  Scale16 query_scale;

  std::uint32_t count() const { return static_cast<std::uint32_t>(key_scales.size()); }
  KvSegment segment(std::size_t first, std::size_t length) const {
    return {keys.data() + first * head_size, values.data() + first * head_size,
            key_scales.data() + first, value_scales.data() + first,
            static_cast<std::uint32_t>(length)};
  }
};

/// The scale whose worth is nearest above `value`.
Scale16 scale_of(double value) {
  return encode_scale_up(static_cast<std::uint64_t>(std::ldexp(value, 40)),
                         kScaleFractionBits - 40);
}

/// Lanes between -1 and 1 for q and v; keys such that scores spread over about `spread` nats.
Cache random_cache(Random& random, std::uint32_t count, std::size_t head_size, double spread) {
  Cache c;
  c.head_size = head_size;
  for (auto* lanes : {&c.query, &c.keys, &c.values}) {
    lanes->resize(head_size * (lanes == &c.query ? 1 : count));
    for (std::int8_t& lane : *lanes) lane = random.between<std::int8_t>(-127, 127);
  }
  c.query_scale = scale_of(1.0 / 127);
  c.key_scales.assign(count, scale_of(3 * spread / 127));
  c.value_scales.assign(count, scale_of(1.0 / 127));
  return c;
}

struct Output {
  std::vector<std::int64_t> values;
  Multiplier unit;

  bool operator==(const Output& other) const {
    return values == other.values && unit.mantissa == other.unit.mantissa &&
           unit.exponent == other.unit.exponent;
  }
};

Output attend(const Cache& c, const std::vector<KvSegment>& segments) {
  Output output;
  output.values.assign(c.head_size, -1);
  std::vector<std::uint32_t> scratch(c.count(), 0xdeadbeefU);
  WideVector wide = {output.values, {}};
  attend_segments(wide, scratch, segments, {c.query.data(), c.query_scale},
                  attention_scale(static_cast<std::uint32_t>(c.head_size)));
  output.unit = wide.unit;
  return output;
}

Output attend(const Cache& c) {
  return attend(c, {c.segment(0, c.count())});
}

/// Scores in base 2, saturated as int32 in Q16 saturates.
std::vector<double> exact_scores(const Cache& c) {
  const double root = std::sqrt(static_cast<double>(c.head_size));
  std::vector<double> scores(c.count());
  for (std::size_t t = 0; t < scores.size(); ++t) {
    double dot = 0;
    for (std::size_t i = 0; i < c.head_size; ++i) dot += c.query[i] * c.keys[t * c.head_size + i];
    const double nats = dot * real(c.query_scale) * real(c.key_scales[t]) / root;
    scores[t] = std::clamp(nats / std::log(2.0), -32768.0, 32767.0 + 65535.0 / 65536);
  }
  return scores;
}

std::vector<double> exact_attention(const Cache& c) {
  const std::vector<double> scores = exact_scores(c);
  const double largest = *std::ranges::max_element(scores);
  std::vector<double> out(c.head_size);
  double sum = 0;
  for (std::size_t t = 0; t < scores.size(); ++t) {
    const double weight = std::exp2(scores[t] - largest);
    sum += weight;
    const double scaled = weight * real(c.value_scales[t]);
    for (std::size_t i = 0; i < c.head_size; ++i) out[i] += scaled * c.values[t * c.head_size + i];
  }
  for (double& lane : out) lane /= sum;
  return out;
}

struct Distance {
  double error = 0;  // ||out - exact||
  double size = 0;   // ||exact||
};

Distance absolute_error(const Cache& c) {
  const Output output = attend(c);
  const std::vector<double> exact = exact_attention(c);
  Distance squares;
  for (std::size_t i = 0; i < c.head_size; ++i) {
    const double lane = static_cast<double>(output.values[i]) * real(output.unit);
    squares.error += (lane - exact[i]) * (lane - exact[i]);
    squares.size += exact[i] * exact[i];
  }
  return {std::sqrt(squares.error), std::sqrt(squares.size)};
}

/// ||out - exact|| / ||exact||; zero where both are.
double relative_error(const Cache& c) {
  const auto [error, size] = absolute_error(c);
  return error == 0 ? 0 : error / size;
}

const std::vector<std::uint32_t> kCounts = {1, 2, 3, 14, 15, 16, 17, 100, 257, 1000, 4096};
const std::vector<std::size_t> kHeadSizes = {4, 5, 16, 33, 64, 127, 256};

TEST(AttendSegments, random_inputs) {
  Random random(1);
  Worst worst;
  for (const std::uint32_t count : kCounts) {
    for (const std::size_t head_size : kHeadSizes) {
      if (count * head_size > 300000 && head_size % 2 == 0 && head_size != 64) continue;
      for (const double spread : {0.1, 1.0, 5.0}) {
        worst.offer(relative_error(random_cache(random, count, head_size, spread)), count);
      }
    }
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound) << "at " << worst.where << " positions";
}

/// Key scales over a factor of 2^25, value scales over one of 2^12.
TEST(AttendSegments, wildly_different_scales) {
  Random random(2);
  Worst worst;
  for (int i = 0; i < 300; ++i) {
    const auto count = static_cast<std::uint32_t>(1 + random.below(300));
    Cache c = random_cache(random, count, kHeadSizes[random.below(kHeadSizes.size())], 1);
    for (Scale16& scale : c.key_scales) scale = scale_of(std::exp2(-random.unit() * 25));
    for (Scale16& scale : c.value_scales) scale = scale_of(std::exp2(-random.unit() * 12));
    worst.offer(relative_error(c), i);
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound) << "case " << worst.where;
}

/// What docs/NUMERICS.md states for any scales, with 128 * sqrt(head_size) * scale for ||v||.
double stated_bound(const Cache& c) {
  const std::vector<double> scores = exact_scores(c);
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  double weighted = 0;
  double magnitudes = 0;
  double largest_weighted = 0;
  for (std::size_t t = 0; t < scores.size(); ++t) {
    const double weight = std::exp2(scores[t] - largest);
    const double scale = real(c.value_scales[t]);
    sum += weight;
    weighted += weight * scale;
    magnitudes += scale;
    largest_weighted = std::max(largest_weighted, weight * scale);
  }
  const double contributions = std::ldexp(largest_weighted, -20) * c.count();
  const double lost = weighted * (std::ldexp(1.0, -12) + std::ldexp(c.count(), -25)) +
                      std::ldexp(magnitudes, -25) + contributions;
  return 128 * std::sqrt(static_cast<double>(c.head_size)) * lost / sum;
}

TEST(AttendSegments, value_scales_of_all_patterns) {
  Random random(13);
  Worst worst;
  for (int i = 0; i < 300; ++i) {
    const auto count = static_cast<std::uint32_t>(1 + random.below(300));
    Cache c = random_cache(random, count, kHeadSizes[random.below(kHeadSizes.size())], 3);
    for (Scale16& scale : c.value_scales) scale.bits = static_cast<std::uint16_t>(random.next());
    worst.offer(absolute_error(c).error / stated_bound(c), i);
  }
  test::record("part_of_the_stated_bound", worst.value);
  EXPECT_LE(worst.value, 1) << "case " << worst.where;
}

/// Every key a multiple of the query, so that position t has the score `levels[t]` in base 2.
Cache cache_with_scores(Random& random, std::size_t head_size, const std::vector<double>& levels) {
  Cache c = random_cache(random, static_cast<std::uint32_t>(levels.size()), head_size, 1);
  std::ranges::fill(c.query, std::int8_t{127});
  const double root = std::sqrt(static_cast<double>(head_size));
  for (std::size_t t = 0; t < levels.size(); ++t) {
    const std::int8_t lane = levels[t] < 0 ? -127 : 127;
    std::fill_n(c.keys.begin() + static_cast<std::ptrdiff_t>(t * head_size), head_size, lane);
    const double per_unit = 127.0 * 127 * static_cast<double>(head_size) * real(c.query_scale);
    c.key_scales[t] = scale_of(std::abs(levels[t]) * std::log(2.0) * root / per_unit);
  }
  return c;
}

TEST(AttendSegments, one_huge_score) {
  Random random(3);
  Worst worst;
  for (const std::size_t head_size : kHeadSizes) {
    std::vector<double> levels(500, 0.0);
    levels[321] = 1000;
    worst.offer(relative_error(cache_with_scores(random, head_size, levels)),
                static_cast<double>(head_size));
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound);
}

// The worst case of rounding contributions: all but one lie just below half a unit, and vanish.
TEST(AttendSegments, mass_that_rounds_away) {
  Random random(4);
  Worst worst;
  for (const double below : {19.9, 20.5, 20.9, 21.05, 21.5, 24.5}) {
    std::vector<double> levels(4096, 100 - below);
    levels[0] = 100;
    Cache c = cache_with_scores(random, 16, levels);
    // The others all agree, and disagree with the first.
    std::ranges::fill(c.values, std::int8_t{127});
    std::fill_n(c.values.begin(), 16, std::int8_t{-127});
    worst.offer(relative_error(c), below);
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound) << "at " << worst.where;
}

TEST(AttendSegments, equal_scores_give_the_exact_mean) {
  Random random(5);
  for (const std::uint32_t count : kCounts) {
    Cache c = random_cache(random, count, 16, 0);
    const Output output = attend(c);
    const double one = static_cast<double>(c.value_scales[0].mantissa());
    for (std::size_t i = 0; i < c.head_size; ++i) {
      std::int64_t sum = 0;
      for (std::size_t t = 0; t < count; ++t) sum += c.values[t * c.head_size + i];
      // Contributions are the scale's 12 bits brought to 20, equal for all positions.
      const double contribution =
          std::ldexp(one, 20 - significant_bits(c.value_scales[0].mantissa()));
      ASSERT_EQ(static_cast<double>(output.values[i]), static_cast<double>(sum) * contribution);
    }
    ASSERT_LE(relative_error(c), 1e-5) << count;
  }
}

TEST(AttendSegments, alternating_extremes) {
  Random random(6);
  for (const std::uint32_t count : {1U, 2U, 15U, 16U, 31U, 4095U}) {
    Cache c = random_cache(random, count, 64, 1);
    for (std::size_t i = 0; i < c.keys.size(); ++i) {
      const std::size_t t = i / c.head_size;
      c.keys[i] = (t + i) % 2 == 0 ? 127 : -128;
      c.values[i] = t % 2 == 0 ? 127 : -128;
    }
    for (std::size_t i = 0; i < c.head_size; ++i) c.query[i] = i % 2 == 0 ? 127 : -128;
    ASSERT_LE(relative_error(c), kBound) << count;
  }
}

TEST(AttendSegments, zero_scales) {
  Random random(7);
  for (int i = 0; i < 8; ++i) {
    Cache c = random_cache(random, 40, 32, 1);
    if ((i & 1) != 0) c.query_scale = {};
    if ((i & 2) != 0) std::ranges::fill(c.key_scales, Scale16{});
    if ((i & 4) != 0) std::ranges::fill(c.value_scales, Scale16{});
    EXPECT_LE(relative_error(c), kBound) << i;
  }
  Cache c = random_cache(random, 40, 32, 1);
  for (std::size_t t = 0; t < 40; t += 3) c.key_scales[t] = c.value_scales[t] = {};
  EXPECT_LE(relative_error(c), kBound);
}

TEST(AttendSegments, saturated_scores) {
  Random random(8);
  Cache c = random_cache(random, 64, 256, 1);
  c.query_scale.bits = kScale16Max;
  std::ranges::fill(c.key_scales, Scale16{kScale16Max});
  EXPECT_LE(relative_error(c), kBound);
  // All at the lower end: equal scores, none of them lost.
  std::ranges::fill(c.query, std::int8_t{127});
  std::ranges::fill(c.keys, std::int8_t{-127});
  EXPECT_LE(relative_error(c), kBound);
}

TEST(AttendSegments, largest_context_of_largest_numbers_does_not_overflow) {
  Random random(9);
  Cache c = random_cache(random, kMaxContext, 4, 0);
  std::ranges::fill(c.values, std::int8_t{-128});
  std::ranges::fill(c.value_scales, Scale16{kScale16Max});
  EXPECT_LE(relative_error(c), 1e-5);
}

TEST(AttendSegments, segments_change_no_bit) {
  Random random(10);
  for (int i = 0; i < 60; ++i) {
    const auto count = static_cast<std::uint32_t>(1 + random.below(200));
    const Cache c = random_cache(random, count, kHeadSizes[random.below(kHeadSizes.size())], 3);
    std::vector<KvSegment> segments;
    for (std::size_t first = 0; first < count;) {
      const std::size_t length = random.below(count - first + 1);
      segments.push_back(c.segment(first, length));
      first += length;
    }
    ASSERT_EQ(attend(c, segments), attend(c)) << i;
  }
}

TEST(AttendSegments, every_cut_in_two_changes_no_bit) {
  Random random(11);
  const Cache c = random_cache(random, 50, 17, 3);
  const Output whole = attend(c);
  for (std::size_t cut = 0; cut <= 50; ++cut) {
    const KvSegment head = c.segment(0, cut);
    const KvSegment tail = c.segment(cut, 50 - cut);
    ASSERT_EQ(attend(c, {head, tail}), whole) << cut;
    ASSERT_EQ(attend(c, {tail, head}), whole) << cut;
  }
}

TEST(AttendSegments, order_of_positions_changes_no_bit) {
  Random random(12);
  for (int i = 0; i < 30; ++i) {
    const auto count = static_cast<std::uint32_t>(1 + random.below(300));
    Cache c = random_cache(random, count, 24, 4);
    for (Scale16& scale : c.value_scales) scale.bits = static_cast<std::uint16_t>(random.next());
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t t = count; t > 1; --t) std::swap(order[t - 1], order[random.below(t)]);
    std::vector<KvSegment> segments;
    for (const std::size_t t : order) segments.push_back(c.segment(t, 1));
    ASSERT_EQ(attend(c, segments), attend(c)) << i;
  }
}

Output plainly_attend(const Cache& c) {
  Output output;
  output.values.assign(c.head_size, -1);
  WideVector wide = {output.values, {}};
  const KvSegment segment = c.segment(0, c.count());
  const QuantizedVector query = {c.query.data(), c.query_scale};
  std::vector<std::int32_t> scores(c.count());
  test::plain_attention(wide, scores, {&segment, 1}, {&query, 1},
                        attention_scale(static_cast<std::uint32_t>(c.head_size)));
  output.unit = wide.unit;
  return output;
}

/// Around `middle`, by up to `spread` exponents; now and then any pattern at all.
Scale16 wild_scale(Random& random, int middle, int spread) {
  if (random.below(16) == 0) return {static_cast<std::uint16_t>(random.next())};
  const int exponent = std::clamp<int>(middle + random.between<int>(-spread, spread), 0, 31);
  return {static_cast<std::uint16_t>(exponent << 11 | static_cast<int>(random.below(2048)))};
}

// Scales of all exponents lead past every limit of the 32-bit arithmetic, on both sides.
TEST(AttendSegments, gives_the_bits_of_the_plain_arithmetic) {
  Random random(77);
  for (int i = 0; i < 4000; ++i) {
    const std::size_t head_size = i % 5 == 0 ? random.between<std::size_t>(1, 80)
                                             : std::size_t{1} << random.between<int>(3, 6);
    Cache c = random_cache(random, random.between<std::uint32_t>(1, 300), head_size, 1);
    const int key = random.between<int>(0, 31);
    const int value = random.between<int>(0, 31);
    const int spread = random.between<int>(0, 4) * random.between<int>(0, 4);
    c.query_scale = wild_scale(random, 31 - key, 5);
    for (Scale16& scale : c.key_scales) scale = wild_scale(random, key, spread);
    for (Scale16& scale : c.value_scales) scale = wild_scale(random, value, spread);
    ASSERT_EQ(attend(c), plainly_attend(c)) << "round " << i;
  }
}

TEST(AttendSegments, gives_the_bits_that_boards_compare) {
  std::vector<std::uint64_t> memory(test::kAttentionCaseBytes / sizeof(std::uint64_t));
  EXPECT_EQ(test::count_wrong_attention(std::as_writable_bytes(std::span(memory)), 1), 0U);
}

// Products of few bits are seen apart from others.
TEST(AttendSegments, tiny_scales_give_the_bits_of_the_plain_arithmetic) {
  Random random(78);
  for (int i = 0; i < 4000; ++i) {
    Cache c = random_cache(random, random.between<std::uint32_t>(1, 40), 8, 1);
    const int steepness = random.between<int>(0, 30);
    for (Scale16& scale : c.key_scales) scale = scale_of(std::ldexp(1.0, -steepness) * 8);
    for (Scale16& scale : c.value_scales) {
      const std::uint64_t bits = random.below(std::uint64_t{1} << random.between<int>(0, 16));
      scale = {static_cast<std::uint16_t>(random.below(3) == 0 ? 0 : bits)};
    }
    ASSERT_EQ(attend(c), plainly_attend(c)) << "round " << i;
  }
}

TEST(AttentionScale, is_log2_e_over_the_root) {
  Worst worst;
  for (std::uint32_t head_size = 1; head_size <= kMaxHeadSize; ++head_size) {
    const double exact = std::log2(std::exp(1.0)) / std::sqrt(head_size);
    worst.offer(std::abs(real(attention_scale(head_size)) / exact - 1), head_size);
  }
  test::record("relative_error", worst.value);
  EXPECT_LT(worst.value, std::ldexp(1.0, -19));
}

}  // namespace
}  // namespace mote
