// SPDX-License-Identifier: Apache-2.0
// The kernels of each instruction set give the bits of the reference. On boards
// ports/common/kernel_bench.cpp does the same.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/matvec.hpp"
#include "support/matvec_cases.hpp"

namespace mote {
namespace {

using test::count_wrong_rows;
using test::kMatvecCaseBytes;

TEST(ArchEqualsRef, matvec) {
  std::vector<std::byte> memory(kMatvecCaseBytes);
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    EXPECT_EQ(count_wrong_rows(matvec_s8_s32, memory, seed), 0U) << seed;
  }
}

/// A kernel with one fault, to show that the cases see it: the last column of the last row.
void drops_the_last_column(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                           int fraction_bits) {
  std::vector<std::int8_t> lanes(x.values, x.values + matrix.columns);
  lanes.back() = 0;
  ActivationView less = x;
  less.values = lanes.data();
  ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  ref::matvec_s8_s32(out + matrix.rows - 1, matrix.slice(matrix.rows - 1, 1), less, fraction_bits);
}

/// Another, that writes a row too many.
void writes_too_far(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                    int fraction_bits) {
  ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  out[matrix.rows] = 0;
}

TEST(ArchEqualsRef, cases_see_faults) {
  std::vector<std::byte> memory(kMatvecCaseBytes);
  EXPECT_GT(count_wrong_rows(drops_the_last_column, memory, 1), 999U);
  EXPECT_GT(count_wrong_rows(writes_too_far, memory, 1), 999U);
  EXPECT_GT(count_wrong_rows(matvec_s8_s32, std::span(memory).first(1000), 1), 100U);
}

}  // namespace
}  // namespace mote
