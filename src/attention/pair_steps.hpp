// SPDX-License-Identifier: Apache-2.0
// What the forms of attend_pair share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mote/scale.hpp"

namespace mote {

/// Lanes of the longest head whose dot product, 2^14 a lane, times a mantissa fits 32 bits.
inline constexpr std::size_t kMostPairLanes = 32;

/// Bits by which the lanes of queries are raised, so that those products fill 32 bits.
constexpr int pair_raise(std::size_t head_size) {
  return head_size <= 8 ? 2 : head_size <= 16 ? 1 : 0;
}

/// How two heads score a position by one shift: the product of raised dot product, mantissa and
/// factor, without its lower word, is shifted by base less the stored exponent and then by one bit
/// more, which rounds. A scale is usual where that shift is at least 0 and less than base.
struct PairShift {
  std::uint32_t base = 0;  // 0 where no shift is usual
  std::uint32_t factors[2] = {};
};

/// The factor of the head that is to be shifted further is raised by less. False where that is not
/// enough.
inline bool align_pair(PairShift& out, const Multiplier (&factors)[2], int raise) {
  constexpr int kRaise = 11;  // of a factor, to 31 bits
  const int bases[2] = {raise - 21 - factors[0].exponent, raise - 21 - factors[1].exponent};
  const int base = std::min<int>(bases[0], bases[1]);
  if (std::max<int>(bases[0], bases[1]) - base > kRaise) return false;
  out.base = static_cast<std::uint32_t>(std::max<int>(base, 0));
  for (int h = 0; h < 2; ++h) out.factors[h] = factors[h].mantissa << (kRaise - (bases[h] - base));
  return true;
}

}  // namespace mote
