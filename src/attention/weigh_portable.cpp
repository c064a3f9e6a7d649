// SPDX-License-Identifier: Apache-2.0
// Weights of positions from their scores.
#include <algorithm>

#include "attention/attend_steps.hpp"
#include "kernels/softmax.hpp"

namespace mote {

void weigh_segment(std::uint32_t* scores, WeightTotals& totals, const KvSegment& segment,
                   std::int32_t largest) {
  const Scale16* scale = segment.value_scales;
  const std::uint32_t* const end = scores + segment.count;
  // Copies, that they may stay in registers.
  std::uint32_t limit = totals.limit();
  int width = totals.width();
  while (scores != end) {
    const auto left = static_cast<std::size_t>(end - scores);
    const std::uint32_t* const fold_end = scores + std::min(left, kWeightsPerFold);
    std::uint32_t sum = 0;
    for (; scores != fold_end; ++scores, ++scale) {
      const std::uint32_t weight = softmax_weight(*scores, largest);
      *scores = weight;
      sum += weight;
      if (scale->bits < limit) continue;
      // A product has at most 12 bits more than the weight.
      const int shift = width - 12 - scale->exponent();
      if (shift >= 0 && weight >> shift == 0) continue;
      totals.widen(weight, *scale);
      limit = totals.limit();
      width = totals.width();
    }
    totals.sum += sum;
  }
}

}  // namespace mote
