// SPDX-License-Identifier: Apache-2.0
// The loops of linear attention in plain C++.
#include "attention/linear_steps.hpp"

namespace mote {

void decay_and_add(std::int64_t* sums, const std::uint32_t* features, std::int32_t lane, int shift,
                   std::uint32_t decay, std::size_t count) {
  const std::int64_t* const end = sums + count;
  if (shift == 0) {
    for (; sums != end; ++sums) {
      const auto feature = static_cast<std::int32_t>(*features++);
      *sums = decayed(*sums, decay) + std::int64_t{lane} * feature;
    }
    return;
  }
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  for (; sums != end; ++sums) {
    const auto feature = static_cast<std::int32_t>(*features++);
    *sums = decayed(*sums, decay) + ((std::int64_t{lane} * feature + half) >> shift);
  }
}

void dot_two_features(WideSum (&totals)[2], const std::int64_t* sums, const std::uint32_t* features,
                      std::size_t count) {
  const std::int64_t* const end = sums + count;
  WideSum first = {0, 0};
  WideSum second = {0, 0};
  for (; sums != end; ++sums, features += 2) {
    const auto lower = static_cast<std::uint32_t>(*sums);
    const auto upper = static_cast<std::int32_t>(*sums >> 32);
    first.high += std::int64_t{upper} * static_cast<std::int32_t>(features[0]);
    first.low += std::uint64_t{lower} * features[0];
    second.high += std::int64_t{upper} * static_cast<std::int32_t>(features[1]);
    second.low += std::uint64_t{lower} * features[1];
  }
  totals[0] = first;
  totals[1] = second;
}

}  // namespace mote
