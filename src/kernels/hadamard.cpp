// SPDX-License-Identifier: Apache-2.0
#include "kernels/hadamard.hpp"

#include <cstddef>

namespace mote {

void hadamard_transform(std::span<std::int64_t> head) {
  const std::size_t width = hadamard_width(static_cast<std::uint32_t>(head.size()));
  for (std::size_t step = 1; step < width; step *= 2) {
    for (std::size_t first = 0; first < head.size(); first += 2 * step) {
      for (std::size_t i = first; i < first + step; ++i) {
        const std::int64_t a = head[i];
        const std::int64_t b = head[i + step];
        head[i] = a + b;
        head[i + step] = a - b;
      }
    }
  }
}

}  // namespace mote
