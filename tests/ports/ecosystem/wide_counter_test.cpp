// SPDX-License-Identifier: Apache-2.0
#include "ecosystem/wide_counter.hpp"

#include <gtest/gtest.h>

namespace mote::ports {
namespace {

TEST(WideCounter, IsRightWhileTheEstimateIsNear) {
  constexpr long long kReach = 1LL << 23;
  for (const std::uint64_t count :
       {0ULL, 5ULL, 0xffffffULL, 0x1000000ULL, 0x123456789abcULL, 0xffffffffffffULL}) {
    for (const long long error : {-kReach + 1, -1000LL, -1LL, 0LL, 1LL, 1000LL, kReach - 1}) {
      const long long estimate = static_cast<long long>(count) + error;
      if (estimate < 0) continue;
      const auto low = static_cast<std::uint32_t>(count & 0xffffff);
      EXPECT_EQ(widen<24>(low, static_cast<std::uint64_t>(estimate)), count)
          << count << " " << error;
    }
  }
}

TEST(WideCounter, NeverGoesBackWithAClockThatIsCoarse) {
  // 240 MHz, asked every 7 s, while the clock moves by milliseconds: two wraps between.
  std::uint64_t last = 0;
  for (std::uint64_t us = 0; us < 100'000'000; us += 7'000'123) {
    const std::uint64_t cycles = us * 240;
    const std::uint64_t wide = widen<32>(static_cast<std::uint32_t>(cycles), us / 1000 * 240'000);
    EXPECT_EQ(wide, cycles);
    EXPECT_GE(wide, last);
    last = wide;
  }
}

TEST(WideCounter, IsNeverNegative) {
  EXPECT_EQ(widen<32>(0xfffffff0U, 3), 0xfffffff0U);
  EXPECT_EQ(widen<32>(3, 0xfffffff0U), 0x100000003U);
}

}  // namespace
}  // namespace mote::ports
