// SPDX-License-Identifier: Apache-2.0
// LinearAttention gives the bits of the plain arithmetic: every sum after a token, every output.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "attention/rows.hpp"
#include "mote/linear_attention.hpp"
#include "support/linear_cases.hpp"
#include "support/plain_linear.hpp"

namespace mote {
namespace {

using test::collect;
using test::Int128;
using test::Random;
using test::random_row;
using test::Row;

/// One head with a state that can be looked at and changed: sums of values row by row, sums of
/// keys, the units of both.
class OpenHead {
 public:
  OpenHead(std::uint32_t size, std::uint32_t decay)
      : size_(size),
        decay_(decay),
        state_(LinearAttention::state_bytes({1, 1, size})),
        attention_({1, 1, size}, state_, std::span(&decay_, 1)) {
    attention_.reset();
  }

  std::size_t size() const { return size_; }
  std::vector<std::int64_t> sums() const {
    std::vector<std::int64_t> sums((size_ + 1) * size_);
    std::memcpy(sums.data(), state_.data(), sums.size() * sizeof(std::int64_t));
    return sums;
  }
  SumUnit unit(bool of_keys) const {
    SumUnit unit;
    std::memcpy(&unit, state_.data() + unit_place(of_keys), sizeof unit);
    return unit;
  }

  void update_and_compare(const Row& key, const Row& value) {
    const std::vector<std::int64_t> before = sums();
    const SumUnit units[] = {unit(false), unit(true)};
    attention_.update(0, key.view(), value.view());
    const std::vector<std::int64_t> after = sums();
    for (std::size_t at = 0; at < after.size(); ++at) {
      const bool is_key = at >= size_ * size_;
      const Int128 feature = test::plain_feature(key.values[at % size_], key.scale);
      const Int128 lane = is_key ? 1 : Int128{value.values[at / size_]} * value.scale.mantissa();
      const int exponent = is_key ? 0 : value.scale.exponent();
      ASSERT_EQ(after[at], test::plain_sum(before[at], units[is_key ? 1 : 0], unit(is_key).exponent,
                                           decay_, feature * lane, exponent))
          << "sum " << at << " of " << after.size();
    }
  }

  void compare_outputs(const Row& query) const {
    const std::vector<std::int64_t> all = sums();
    const auto output = collect(static_cast<std::uint32_t>(size_),
                                [&](WideVector& out) { attention_.attend(out, 0, query.view()); });
    for (std::size_t i = 0; i < size_; ++i) {
      ASSERT_EQ(output.values[i], test::plain_output(std::span(all).subspan(i * size_, size_),
                                                     unit(false), query.view()))
          << "lane " << i << " of " << size_;
    }
  }

  /// Makes the sums of values as large as `bits` allow, some with lower words that any addition
  /// carries out of.
  void enlarge(Random& random, int bits) {
    SumUnit changed = unit(false);
    const int shift = bits - significant_bits(changed.bound);
    if (shift < 0) return;
    std::vector<std::int64_t> all = sums();
    for (std::size_t at = 0; at < size_ * size_; ++at) {
      all[at] *= std::int64_t{1} << shift;
      if (bits > 40 && random.below(2) == 0) all[at] |= 0xffffffff;
    }
    changed.bound = (changed.bound << shift) + (std::uint64_t{1} << 32);
    std::memcpy(state_.data(), all.data(), all.size() * sizeof(std::int64_t));
    std::memcpy(state_.data() + unit_place(false), &changed, sizeof changed);
  }

 private:
  std::size_t unit_place(bool of_keys) const {
    return state_.size() - (of_keys ? 1 : 2) * sizeof(SumUnit);
  }

  std::size_t size_;
  std::uint32_t decay_;
  std::vector<std::byte> state_;
  LinearAttention attention_;
};

Row draw_row(Random& random, std::size_t size, int middle) {
  Row row = random_row(random, size);
  const int exponent = std::clamp(middle + random.between<int>(-2, 2), 0, 31);
  row.scale.bits = static_cast<std::uint16_t>(exponent << 11 | random.between<int>(0, 2047));
  return row;
}

// Scales and sums of all sizes lead to every way of the arithmetic.
TEST(PlainLinearAttention, every_bit_is_the_same) {
  Random random(31);
  for (int round = 0; round < 600; ++round) {
    const auto size = random.between<std::uint32_t>(1, round % 8 == 0 ? 64 : 16);
    OpenHead head(size, random.below(3) == 0 ? 65536 : random.between<std::uint32_t>(0, 65535));
    const int key = random.between<int>(0, 31);
    const int value = random.between<int>(0, 31);
    for (int token = 0; token < 12; ++token) {
      if (token % 4 == 3) head.enlarge(random, random.between<int>(20, 61));
      ASSERT_NO_FATAL_FAILURE(head.compare_outputs(draw_row(random, size, 20))) << round;
      ASSERT_NO_FATAL_FAILURE(
          head.update_and_compare(draw_row(random, size, key), draw_row(random, size, value)))
          << round;
      const int query = random.between<int>(0, 31);
      ASSERT_NO_FATAL_FAILURE(head.compare_outputs(draw_row(random, size, query))) << round;
    }
  }
}

// Heads 0 and 1, and 2 and 3, share sums; 1 and 2 do not.
TEST(PlainLinearAttention, two_heads_together_give_the_bits_of_each) {
  Random random(32);
  for (int round = 0; round < 300; ++round) {
    const LinearShape shape = {4, 2, random.between<std::uint32_t>(1, round % 8 == 0 ? 70 : 16)};
    const std::size_t size = shape.head_size;
    std::vector<std::byte> state(LinearAttention::state_bytes(shape));
    const std::vector<std::uint32_t> decays = {64000, random.between<std::uint32_t>(0, 65536)};
    LinearAttention attention(shape, state, decays);
    attention.reset();
    const int middle = random.between<int>(0, 31);
    for (int token = 0; token < 20; ++token) {
      for (std::uint32_t h = 0; h < 2; ++h) {
        attention.update(h, draw_row(random, size, 20).view(),
                         draw_row(random, size, middle).view());
      }
      const auto head = random.between<std::uint32_t>(0, 2);
      const int scale = random.between<int>(0, 31);
      const Row rows[2] = {draw_row(random, size, scale), draw_row(random, size, 20)};
      std::vector<std::int64_t> values(2 * size, -1);
      WideVector both[2] = {{std::span(values).first(size), {}},
                            {std::span(values).last(size), {}}};
      attention.attend_two(both, head, {rows[0].view(), rows[1].view()});
      for (std::uint32_t h = 0; h < 2; ++h) {
        const auto expected = collect(shape.head_size, [&](WideVector& out) {
          attention.attend(out, head + h, rows[h].view());
        });
        const auto together = collect(shape.head_size, [&](WideVector& out) {
          std::ranges::copy(both[h].values, out.values.begin());
          out.unit = both[h].unit;
        });
        ASSERT_EQ(together, expected) << round << ", head " << head + h;
      }
    }
  }
}

TEST(PlainLinearAttention, loops_give_the_sums_of_the_plain_arithmetic) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) EXPECT_EQ(test::count_wrong_sums(seed), 0U) << seed;
}

}  // namespace
}  // namespace mote
