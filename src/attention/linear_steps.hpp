// SPDX-License-Identifier: Apache-2.0
// The loops of linear attention, of which chips have forms of their own: linear_portable.cpp or
// another, one in a build (src/sources.cmake).
#pragma once

#include <cstddef>
#include <cstdint>

namespace mote {

/// round(sum * decay / 2^16), half up, in two parts since the product may have 79 bits: those of
/// the upper and of the lower word with decay * 2^16, without their lowest 32 bits. |sum| <= 2^62,
/// decay < 2^16
inline std::int64_t decayed(std::int64_t sum, std::uint32_t decay) {
  const std::uint32_t raised = decay << 16;
  const std::uint64_t low = std::uint64_t{static_cast<std::uint32_t>(sum)} * raised;
  const std::uint32_t rounded =
      static_cast<std::uint32_t>(low >> 32) + (static_cast<std::uint32_t>(low) >> 31);
  return static_cast<std::int32_t>(sum >> 32) * std::int64_t{raised} + rounded;
}

/// sums[j] = decayed(sums[j], decay) + round(features[j] * lane / 2^shift), half up.
///   sums, features (count), features below 2^31; |lane| < 2^19, shift 0 to 31, decay < 2^16
void decay_and_add(std::int64_t* sums, const std::uint32_t* features, std::int32_t lane, int shift,
                   std::uint32_t decay, std::size_t count);

/// Products of sums with the features of two heads: high * 2^32 + low.
struct WideSum {
  std::int64_t high;  // of the upper words of the sums
  std::uint64_t low;  // of the lower words
};

/// totals[h] = sum over j of sums[j] * features[j][h].
///   sums (count), |sums| <= 2^62; features (count, 2), those of a head together below 2^31
void dot_two_features(WideSum (&totals)[2], const std::int64_t* sums, const std::uint32_t* features,
                      std::size_t count);

}  // namespace mote
