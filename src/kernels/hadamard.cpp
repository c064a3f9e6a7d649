// SPDX-License-Identifier: Apache-2.0
#include "kernels/hadamard.hpp"

#include <cstddef>

#include "base/platform.hpp"

namespace mote {
namespace {

/// The steps 1, 2 and 4 of eight lanes, which registers hold.
void transform_eight(std::int32_t* lanes) {
  const std::int32_t a = lanes[0] + lanes[1];
  const std::int32_t b = lanes[0] - lanes[1];
  const std::int32_t c = lanes[2] + lanes[3];
  const std::int32_t d = lanes[2] - lanes[3];
  const std::int32_t e = lanes[4] + lanes[5];
  const std::int32_t f = lanes[4] - lanes[5];
  const std::int32_t g = lanes[6] + lanes[7];
  const std::int32_t h = lanes[6] - lanes[7];
  const std::int32_t sums[4] = {a + c, b + d, a - c, b - d};
  const std::int32_t others[4] = {e + g, f + h, e - g, f - h};
  for (int i = 0; i < 4; ++i) {
    lanes[i] = sums[i] + others[i];
    lanes[i + 4] = sums[i] - others[i];
  }
}

template <typename Lane>
void transform(std::span<Lane> head, std::size_t first_step) {
  const std::size_t width = hadamard_width(static_cast<std::uint32_t>(head.size()));
  for (std::size_t step = first_step; step < width; step *= 2) {
    for (std::size_t first = 0; first < head.size(); first += 2 * step) {
      for (std::size_t i = first; i < first + step; ++i) {
        const Lane a = head[i];
        const Lane b = head[i + step];
        head[i] = a + b;
        head[i + step] = a - b;
      }
    }
  }
}

}  // namespace

void hadamard_transform(std::span<std::int64_t> head) {
  transform(head, 1);
}

void hadamard_transform(std::span<std::int32_t> head) {
  if (kFavorsSize || head.size() % 8 != 0) return transform(head, 1);
  for (std::size_t i = 0; i < head.size(); i += 8) transform_eight(&head[i]);
  transform(head, 8);
}

}  // namespace mote
