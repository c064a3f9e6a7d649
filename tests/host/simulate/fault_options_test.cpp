// SPDX-License-Identifier: Apache-2.0
#include "simulate/fault_options.hpp"

#include <gtest/gtest.h>

#include "support/error.hpp"

namespace mote::host {
namespace {

TEST(FaultOptions, rates_and_numbers) {
  const FaultRequest request = parse_faults("drop=0.01,corrupt=0.5,reset=2,slow=1");
  EXPECT_EQ(request.rates.drop, 0.01);
  EXPECT_EQ(request.rates.corrupt, 0.5);
  EXPECT_EQ(request.rates.delay, 0);
  EXPECT_EQ(request.times[static_cast<std::size_t>(FaultKind::reset)], 2U);
  EXPECT_EQ(request.times[static_cast<std::size_t>(FaultKind::slow)], 1U);
  EXPECT_TRUE(request.any());
  EXPECT_FALSE(parse_faults("").any());
}

TEST(FaultOptions, what_is_no_fault_is_refused) {
  for (const char* text : {"drop", "drop=", "drop=2", "drop=-1", "fire=1", "reset=x", "=1",
                           "drop=0.1,,slow=1", "drop=nan"}) {
    EXPECT_THROW(static_cast<void>(parse_faults(text)), Error) << text;
  }
}

TEST(FaultOptions, a_plan_is_a_function_of_its_seed) {
  const FaultRequest request = parse_faults("reset=3,flash=2,partition=4");
  const FaultPlan plan = draw_plan(request, 4, 1'000'000'000, 50'000'000, 7);
  ASSERT_EQ(plan.timed.size(), 9U);
  for (const TimedFault& fault : plan.timed) {
    EXPECT_LT(fault.seat, 4U);
    EXPECT_LT(fault.at_ns, 1'000'000'000U);
    EXPECT_LE(fault.duration_ns, 50'000'000U);
    const bool spares_first = fault.kind == FaultKind::reset || fault.kind == FaultKind::flash;
    EXPECT_TRUE(fault.seat != 0 || !spares_first);
  }
  EXPECT_EQ(describe(plan), describe(draw_plan(request, 4, 1'000'000'000, 50'000'000, 7)));
  EXPECT_NE(describe(plan), describe(draw_plan(request, 4, 1'000'000'000, 50'000'000, 8)));
}

}  // namespace
}  // namespace mote::host
