// SPDX-License-Identifier: Apache-2.0
#include "kernels/search.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/each_kernel_set.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

TEST(FindAbove, finds_the_first_that_is_larger) {
  test::for_each_kernel_set([](const host::KernelSet& set) {
    const std::vector<std::int32_t> numbers = {3, 5, 4, kMost, kLeast, 5};
    const auto find = [&](std::size_t first, std::int32_t bound) {
      return set.find_above(numbers.data(), first, numbers.size(), bound);
    };
    EXPECT_EQ(find(0, 2), 0U);
    EXPECT_EQ(find(0, 3), 1U);
    EXPECT_EQ(find(2, 4), 3U);
    EXPECT_EQ(find(4, 4), 5U);
    EXPECT_EQ(find(0, kMost), 6U);
    EXPECT_EQ(find(4, kLeast), 5U);
    EXPECT_EQ(find(6, kLeast), 6U);
    EXPECT_EQ(set.find_above(nullptr, 0, 0, 0), 0U);
  });
}

TEST(FindAbove, every_set_finds_the_same) {
  test::for_each_kernel_set([](const host::KernelSet& set) {
    test::Random random(1);
    for (int i = 0; i < 20000; ++i) {
      std::vector<std::int32_t> numbers(random.below(100));
      for (std::int32_t& number : numbers) number = random.between<std::int32_t>(-50, 50);
      const auto first = static_cast<std::size_t>(random.below(numbers.size() + 1));
      const auto bound = random.between<std::int32_t>(-50, 50);
      ASSERT_EQ(set.find_above(numbers.data(), first, numbers.size(), bound),
                ref::find_above(numbers.data(), first, numbers.size(), bound));
    }
  });
}

}  // namespace
}  // namespace mote
