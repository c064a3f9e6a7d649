// SPDX-License-Identifier: Apache-2.0
#include "kernels/search.hpp"

#include "base/platform.hpp"

namespace mote {

std::size_t ref::find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                            std::int32_t bound) {
  if constexpr (!kFavorsSize) {
    while (first + 4 <= count && numbers[first] <= bound && numbers[first + 1] <= bound &&
           numbers[first + 2] <= bound && numbers[first + 3] <= bound) {
      first += 4;
    }
  }
  while (first < count && numbers[first] <= bound) ++first;
  return first;
}

}  // namespace mote
