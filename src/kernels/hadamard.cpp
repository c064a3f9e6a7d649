// SPDX-License-Identifier: Apache-2.0
#include "kernels/hadamard.hpp"

#include <cstddef>

namespace mote {
namespace {

template <typename Lane>
void transform(std::span<Lane> head) {
  const std::size_t width = hadamard_width(static_cast<std::uint32_t>(head.size()));
  for (std::size_t step = 1; step < width; step *= 2) {
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
  transform(head);
}

void hadamard_transform(std::span<std::int32_t> head) {
  transform(head);
}

}  // namespace mote
