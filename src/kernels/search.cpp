// SPDX-License-Identifier: Apache-2.0
#include "kernels/search.hpp"

namespace mote {

std::size_t ref::find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                            std::int32_t bound) {
  while (first < count && numbers[first] <= bound) ++first;
  return first;
}

}  // namespace mote
