// SPDX-License-Identifier: Apache-2.0
// Attention over random and extreme positions, by which attend_segments is compared with the plain
// arithmetic. Without heap and library, so that boards run it too (ports/common/kernel_bench.cpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "attention/attend.hpp"
#include "base/assert.hpp"
#include "mote/arena.hpp"
#include "support/plain_attention.hpp"
#include "support/random.hpp"

namespace mote::test {

/// Memory that the largest case takes.
inline constexpr std::size_t kAttentionCaseBytes = 96 * 1024;

/// One head in the memory of an arena, in two segments.
class AttentionCase {
 public:
  AttentionCase(std::span<std::byte> memory, Random& random, std::uint32_t count,
                std::uint32_t head_size)
      : arena_(memory), random_(random), head_size_(head_size) {
    is_extreme_ = random.below(8) == 0;
    key_exponent_ = random.between<int>(0, 31);
    value_exponent_ = random.between<int>(0, 31);
    spread_ = random.between<int>(0, 4) * random.between<int>(0, 4);
    scores_ = arena_.take<std::uint32_t>(count);
    const std::uint32_t first = static_cast<std::uint32_t>(random.below(count));
    segments_[0] = make_segment(first);
    segments_[1] = make_segment(count - first);
    // Small queries give every position a weight.
    const int query_exponent = 31 - key_exponent_ - random.between<int>(0, 14);
    query_ = {make_lanes(head_size), make_scale(query_exponent)};
    other_query_ = {make_lanes(head_size), make_scale(query_exponent)};
    other_scores_ = arena_.take<std::uint32_t>(2 * std::size_t{segments_[1].count});
    other_values_ = arena_.take<std::int64_t>(head_size);
    values_ = arena_.take<std::int64_t>(head_size);
    expected_ = arena_.take<std::int64_t>(head_size);
    MOTE_ASSERT(!arena_.is_exhausted());
  }

  bool is_right() {
    WideVector out = {values_, {}};
    WideVector expected = {expected_, {}};
    std::ranges::fill(values_, -1);
    const Multiplier scale = attention_scale(head_size_);
    attend_segments(out, scores_, segments_, query_, scale);
    const std::span scores(reinterpret_cast<std::int32_t*>(scores_.data()), scores_.size());
    plain_attention(expected, scores, segments_, {&query_, 1}, scale);
    return is_same(out, expected);
  }

  /// Two heads over the second segment, together.
  bool is_pair_right() {
    HeadAttention heads[2] = {{{values_, {}}, segments_[1], query_},
                              {{other_values_, {}}, segments_[1], other_query_}};
    std::ranges::fill(values_, -1);
    std::ranges::fill(other_values_, -1);
    const Multiplier scale = attention_scale(head_size_);
    attend_two(heads, other_scores_, scale);
    bool is_right = true;
    for (const HeadAttention& head : heads) {
      WideVector expected = {expected_, {}};
      const std::span scores(reinterpret_cast<std::int32_t*>(scores_.data()),
                             std::size_t{segments_[1].count});
      plain_attention(expected, scores, {&segments_[1], 1}, {&head.query, 1}, scale);
      is_right = is_right && is_same(head.out, expected);
    }
    return is_right;
  }

 private:
  static bool is_same(const WideVector& a, const WideVector& b) {
    return std::ranges::equal(a.values, b.values) && a.unit.mantissa == b.unit.mantissa &&
           a.unit.exponent == b.unit.exponent;
  }

  const std::int8_t* make_lanes(std::size_t count) {
    const auto lanes = arena_.take<std::int8_t>(count);
    for (std::int8_t& lane : lanes) {
      lane = is_extreme_ ? 127 : random_.between<std::int8_t>(-127, 127);
    }
    return lanes.data();
  }

  /// Around `middle`; now and then any pattern at all.
  Scale16 make_scale(int middle) {
    if (random_.below(16) == 0) return {static_cast<std::uint16_t>(random_.next())};
    const int exponent = std::clamp<int>(middle + random_.between<int>(-spread_, spread_), 0, 31);
    return {static_cast<std::uint16_t>(exponent << 11 | static_cast<int>(random_.below(2048)))};
  }

  const Scale16* make_scales(std::size_t count, int middle) {
    const auto scales = arena_.take<Scale16>(count);
    for (Scale16& scale : scales) scale = make_scale(middle);
    return scales.data();
  }

  KvSegment make_segment(std::uint32_t count) {
    const std::size_t lanes = std::size_t{count} * head_size_;
    return {make_lanes(lanes), make_lanes(lanes), make_scales(count, key_exponent_),
            make_scales(count, value_exponent_), count};
  }

  Arena arena_;
  Random& random_;
  std::uint32_t head_size_;
  bool is_extreme_ = false;  // all lanes at their limit
  int key_exponent_ = 0;
  int value_exponent_ = 0;
  int spread_ = 0;
  KvSegment segments_[2];
  QuantizedVector query_;
  QuantizedVector other_query_;
  std::span<std::uint32_t> scores_;
  std::span<std::uint32_t> other_scores_;
  std::span<std::int64_t> values_;
  std::span<std::int64_t> other_values_;
  std::span<std::int64_t> expected_;
};

/// Cases, of heads of all kinds of sizes and of 1 to 300 positions, that differ.
///   every  1 for all cases, n for each n-th of them, where computing is slow
inline std::uint32_t count_wrong_attention(std::span<std::byte> memory, std::uint64_t seed,
                                           std::uint32_t every = 1) {
  constexpr std::uint32_t kSizes[] = {8, 16, 24, 32, 48, 64, 128, 6, 30};
  Random random(seed);
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < 180; i += every) {
    const std::uint32_t size = kSizes[i % std::size(kSizes)];
    AttentionCase attention(memory, random, random.between<std::uint32_t>(1, 300), size);
    wrong += (attention.is_right() ? 0 : 1) + (attention.is_pair_right() ? 0 : 1);
  }
  return wrong;
}

}  // namespace mote::test
