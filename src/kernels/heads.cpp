// SPDX-License-Identifier: Apache-2.0
#include "kernels/heads.hpp"

#include <algorithm>

#include "base/platform.hpp"
#include "kernels/hadamard.hpp"
#include "kernels/quantize.hpp"

namespace mote {
namespace {

/// Whether 32 bits hold the transform of a head.
bool fits_transform(std::span<const std::int32_t> head) {
  std::uint32_t magnitudes = 0;
  for (const std::int32_t lane : head)
    magnitudes |= static_cast<std::uint32_t>(lane ^ (lane >> 31));
  const std::uint32_t width = hadamard_width(static_cast<std::uint32_t>(head.size()));
  return magnitudes < (1U << 30) / width;
}

}  // namespace

Scale16 ref::quantize_transformed_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                                         std::span<std::int64_t> scratch, Multiplier unit) {
  // Nearly every head has room for its transform in 32 bits.
  if (!kFavorsSize && fits_transform(head)) {
    hadamard_transform(head);
    return ref::quantize_block_s32_s8(out, head, unit);
  }
  std::copy(head.begin(), head.end(), scratch.begin());
  hadamard_transform(scratch.first(head.size()));
  return ref::quantize_block_s64_s8(out, scratch.first(head.size()), unit);
}

}  // namespace mote
