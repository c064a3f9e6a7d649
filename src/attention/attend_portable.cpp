// SPDX-License-Identifier: Apache-2.0
// Attention where no instruction set has a form of its own: the reference.
#include "attention/attend.hpp"

namespace mote {

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  ref::attend_segments(out, scratch, segments, queries, score_scale);
}

}  // namespace mote
