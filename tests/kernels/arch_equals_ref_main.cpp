// SPDX-License-Identifier: Apache-2.0
// arch_equals_ref_test.cpp for another processor, where GoogleTest may be absent: an emulator runs
// it (scripts/test_aarch64.sh). Prints the rows that are wrong; 0 where none is.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "kernels/matvec.hpp"
#include "support/matvec_cases.hpp"

namespace {

/// A kernel with one fault, to show that the cases see it: the last row is never written.
void forgets_the_last_row(std::int32_t* out, const mote::MatrixView& matrix,
                          const mote::ActivationView& x, int fraction_bits) {
  mote::matvec_s8_s32(out, matrix.slice(0, matrix.rows - 1), x, fraction_bits);
}

}  // namespace

int main() {
  std::vector<std::byte> memory(mote::test::kMatvecCaseBytes);
  std::uint32_t wrong = 0;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    wrong += mote::test::count_wrong_rows(mote::matvec_s8_s32, memory, seed);
  }
  const std::uint32_t seen = mote::test::count_wrong_rows(forgets_the_last_row, memory, 1);
  std::printf("%u rows are wrong; of a kernel with a fault %u\n", wrong, seen);
  return wrong == 0 && seen > 999 ? 0 : 1;
}
