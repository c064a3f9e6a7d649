// SPDX-License-Identifier: Apache-2.0
// The matrix kernels of every set that this computer runs give the bits of the reference.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/each_kernel_set.hpp"
#include "support/matvec_cases.hpp"

namespace mote::test {
namespace {

TEST(EachSetEqualsRef, matvec) {
  for_each_kernel_set([](const host::KernelSet& set) {
    std::vector<std::byte> memory(kMatvecCaseBytes);
    for (const std::uint64_t seed : {4U, 5U, 6U}) {
      EXPECT_EQ(count_wrong_rows(*set.matvec, memory, seed), 0U) << seed;
    }
  });
}

}  // namespace
}  // namespace mote::test
