// SPDX-License-Identifier: Apache-2.0
// Where in a row of logits the next good one stands.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mote {

namespace ref {
/// The first index from `first` on whose number is above `bound`; `count` where there is none.
///   numbers (count)
std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound);
}  // namespace ref

/// The same, by the kernels that run on this computer, or else by the reference.
#ifdef MOTE_CHOOSES_KERNELS
std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound);
#else
using ref::find_above;
#endif

}  // namespace mote
