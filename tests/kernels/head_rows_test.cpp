// SPDX-License-Identifier: Apache-2.0
// Both forms of the products of rows, one after the other linked with this suite, against plain
// sums.
#include "kernels/head_rows.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;

struct Rows {
  std::size_t width = 0;
  std::vector<std::int8_t> lanes;  // (count, width)
  std::vector<std::int8_t> x;      // (width)
  std::vector<std::int32_t> weights;

  std::size_t count() const { return weights.size(); }
};

Rows random_rows(Random& random, std::size_t count, std::size_t width) {
  Rows rows;
  rows.width = width;
  const bool is_extreme = random.below(4) == 0;
  const auto lane = [&] {
    return is_extreme ? std::int8_t{-127} : random.between<std::int8_t>(-127, 127);
  };
  for (std::size_t i = 0; i < count * width; ++i) rows.lanes.push_back(lane());
  for (std::size_t i = 0; i < width; ++i) rows.x.push_back(lane());
  for (std::size_t t = 0; t < count; ++t) {
    const std::int64_t small = random.between(0, 1 << random.between<int>(0, 20));
    rows.weights.push_back(static_cast<std::int32_t>(is_extreme ? kMaxRowWeight : small));
  }
  return rows;
}

template <typename Check>
void for_each_shape(const Check& check) {
  Random random(1);
  for (std::size_t width = 1; width <= 256; width += width < 40 ? 1 : 27) {
    for (const std::size_t count : {0U, 1U, 2U, 14U, 15U, 16U, 40U}) {
      check(random_rows(random, count, width));
    }
  }
}

TEST(HeadRows, dots_are_exact) {
  for_each_shape([](const Rows& rows) {
    std::vector<std::int32_t> out(rows.count() + 1, 7);
    dot_rows_s8_s32(out.data(), rows.lanes.data(), rows.x.data(), rows.count(), rows.width);
    for (std::size_t t = 0; t < rows.count(); ++t) {
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < rows.width; ++i) {
        sum += rows.lanes[t * rows.width + i] * rows.x[i];
      }
      ASSERT_EQ(out[t], sum) << rows.width << " lanes, row " << t << " of " << rows.count();
    }
    EXPECT_EQ(out.back(), 7);
  });
}

TEST(HeadRows, sums_are_exact) {
  for_each_shape([](const Rows& rows) {
    std::vector<std::int64_t> sums(rows.width + 1, 7);
    add_rows_s8_s64(sums.data(), rows.lanes.data(), rows.weights.data(), rows.count(), rows.width);
    for (std::size_t i = 0; i < rows.width; ++i) {
      std::int64_t sum = 7;
      for (std::size_t t = 0; t < rows.count(); ++t) {
        sum += std::int64_t{rows.weights[t]} * rows.lanes[t * rows.width + i];
      }
      ASSERT_EQ(sums[i], sum) << rows.width << " lanes, lane " << i << ", " << rows.count();
    }
    EXPECT_EQ(sums.back(), 7);
  });
}

}  // namespace
}  // namespace mote
