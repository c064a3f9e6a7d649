// SPDX-License-Identifier: Apache-2.0
// Lanes of all sizes, by which loops over them are compared with the arithmetic of one lane.
// Without heap and library, so that boards run it too (ports/common/kernel_bench.cpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>

#include "base/fixed_point.hpp"
#include "kernels/activation.hpp"
#include "kernels/norm_steps.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "support/random.hpp"

namespace mote::test {

inline constexpr std::size_t kMostLanes = 67;

/// 0 to bound - 1.
inline std::size_t index_below(Random& random, std::size_t bound) {
  return static_cast<std::size_t>(random.below(bound));
}

/// A number of 1 to `bits` bits and a sign; small ones are as likely as large ones.
inline std::int64_t number_of_any_size(Random& random, std::uint32_t bits) {
  const auto value = static_cast<std::int64_t>(random.next() >> (64 - bits));
  return (value >> random.below(bits)) * (random.below(2) == 0 ? 1 : -1);
}

/// What quantize_block_* makes of one lane.
inline std::int8_t round_plainly(std::int64_t lane, const BlockRounding& rounding) {
  const std::int64_t product = shift_round(lane, rounding.drop) * rounding.ratio;
  return static_cast<std::int8_t>(
      std::clamp<std::int32_t>(shift_saturate(product, rounding.shift), -127, 127));
}

/// Whether `quantize` gives the scale and the lanes of the plain arithmetic, and no more lanes.
template <typename Lane, typename Quantize>
bool is_block_right(std::span<const Lane> in, Multiplier unit, Quantize quantize) {
  std::array<std::int8_t, kMostLanes + 1> out;
  out.fill(99);
  std::uint64_t largest = 0;
  for (const std::int64_t lane : in) {
    largest = std::max(largest, static_cast<std::uint64_t>(lane < 0 ? -lane : lane));
  }
  const BlockRounding rounding = round_block(largest, unit);
  bool is_right = quantize(out.data(), in, unit) == rounding.scale && out[in.size()] == 99;
  for (std::size_t i = 0; i < in.size(); ++i) {
    is_right = is_right && out[i] == (largest == 0 ? 0 : round_plainly(in[i], rounding));
  }
  return is_right;
}

/// One block of lanes of up to so many bits.
template <typename Lane, typename Quantize>
bool is_random_block_right(Random& random, std::uint32_t bits, Quantize quantize) {
  std::array<Lane, kMostLanes> lanes;
  const std::span<Lane> in = std::span(lanes).first(1 + index_below(random, lanes.size()));
  const auto most = static_cast<std::uint32_t>(1 + random.below(bits));
  for (Lane& lane : in) lane = static_cast<Lane>(number_of_any_size(random, most));
  if (random.below(16) == 0) {
    in[index_below(random, in.size())] = static_cast<Lane>(-(std::int64_t{1} << bits));
  }
  // Scales are usual around this exponent.
  const auto usual = -20 - static_cast<int>(most);
  const auto mantissa = static_cast<std::uint32_t>(1 + (random.next() >> random.between(44, 63)));
  return is_block_right<Lane>(in, {mantissa, usual + random.between<int>(-25, 25)}, quantize);
}

/// Whether swiglu_lanes gives the numbers of swiglu_q36, and no more.
inline bool is_swiglu_right(Random& random) {
  constexpr std::int32_t kEnds[] = {std::numeric_limits<std::int32_t>::min(),
                                    std::numeric_limits<std::int32_t>::max(),
                                    -(1 << 27),
                                    1 << 27,
                                    -(1 << 21),
                                    1 << 21,
                                    24 << 16,
                                    -(31 << 16),
                                    0};
  std::array<std::int32_t, kMostLanes> gate;
  std::array<std::int32_t, kMostLanes> up;
  std::array<std::int64_t, kMostLanes + 1> out;
  out.fill(99);
  const std::size_t count = 1 + index_below(random, kMostLanes);
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_end = random.below(8) == 0;
    gate[i] = is_end ? kEnds[index_below(random, std::size(kEnds))]
                     : static_cast<std::int32_t>(number_of_any_size(random, 31));
    up[i] = static_cast<std::int32_t>(random.next());
  }
  swiglu_lanes(out.data(), gate.data(), up.data(), count);
  bool is_right = out[count] == 99;
  for (std::size_t i = 0; i < count; ++i) {
    is_right = is_right && out[i] == swiglu_q36(gate[i], up[i]);
  }
  return is_right;
}

/// Whether norm_factor adds up all squares and add_residual saturates, and no more.
inline bool is_stream_right(Random& random) {
  std::array<std::int32_t, kMostLanes + 1> stream;
  std::array<std::int32_t, kMostLanes + 1> expected;
  std::array<std::int32_t, kMostLanes> delta;
  std::array<std::int8_t, kMostLanes> lanes;
  const std::size_t count = 1 + index_below(random, kMostLanes);
  std::uint32_t squares = 0;
  for (std::size_t i = 0; i < count; ++i) {
    stream[i] = static_cast<std::int32_t>(random.next());
    delta[i] = static_cast<std::int32_t>(number_of_any_size(random, 31));
    expected[i] = saturate_s32(std::int64_t{stream[i]} + delta[i]);
    lanes[i] = random.between<std::int8_t>(-128, 127);
    squares += static_cast<std::uint32_t>(lanes[i] * lanes[i]);
  }
  stream[count] = expected[count] = 99;
  add_residual(std::span(stream).first(count), delta.data());
  return std::equal(stream.begin(), stream.begin() + count + 1, expected.begin()) &&
         sum_squares(lanes.data(), static_cast<std::uint32_t>(count)) == squares;
}

/// Cases that differ.
///   every  1 for all cases, n for each n-th of them, where computing is slow
inline std::uint32_t count_wrong_lanes(std::uint64_t seed, std::uint32_t every = 1) {
  Random random(seed);
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < 3000; i += every) {
    const bool wide = is_random_block_right<std::int64_t>(random, 61, quantize_block_s64_s8);
    const bool narrow = is_random_block_right<std::int32_t>(random, 31, quantize_block_s32_s8);
    wrong += (wide ? 0 : 1) + (narrow ? 0 : 1) + (is_swiglu_right(random) ? 0 : 1) +
             (is_stream_right(random) ? 0 : 1);
  }
  return wrong;
}

}  // namespace mote::test
