// SPDX-License-Identifier: Apache-2.0
// Rows of int8 with a scale, and results that can be compared, for the tests of every kind.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/assert.hpp"
#include "mote/attention.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote::test {

/// Debug and sanitizer builds walk the large grids in longer strides.
inline constexpr bool kThinned = MOTE_CHECK_KERNELS != 0;

struct Row {
  std::vector<std::int8_t> values;
  Scale16 scale;

  QuantizedVector view() const { return {values.data(), scale}; }
  double real_lane(std::size_t i) const { return values[i] * real(scale); }
};

inline Row random_row(Random& random, std::size_t size) {
  Row row;
  row.values.resize(size);
  for (std::int8_t& lane : row.values) lane = random.between<std::int8_t>(-127, 127);
  row.scale.bits = random.between<std::uint16_t>(0xa000, 0xa800);
  return row;
}

/// The scale whose worth is nearest above `value`.
inline Scale16 scale_of(double value) {
  return encode_scale_up(static_cast<std::uint64_t>(std::ldexp(value, 40)),
                         kScaleFractionBits - 40);
}

struct Output {
  std::vector<std::int64_t> values;
  std::uint32_t mantissa = 0;
  std::int32_t exponent = 0;

  bool operator==(const Output&) const = default;
  double real_lane(std::size_t i) const {
    return static_cast<double>(values[i]) * real(Multiplier{mantissa, exponent});
  }
};

/// What `attend` writes into a wide vector.
template <typename Attend>
Output collect(std::uint32_t head_size, Attend attend) {
  Output output;
  output.values.assign(head_size, -1);
  WideVector wide = {output.values, {}};
  attend(wide);
  output.mantissa = wide.unit.mantissa;
  output.exponent = wide.unit.exponent;
  return output;
}

/// ||output - exact|| / ||exact||; zero where both are.
inline double relative_error(const Output& output, const std::vector<double>& exact) {
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    error += (output.real_lane(i) - exact[i]) * (output.real_lane(i) - exact[i]);
    size += exact[i] * exact[i];
  }
  return error == 0 ? 0 : std::sqrt(error / size);
}

/// Scratch in which every position that is looked at leaves a trace: a weight is at most 2^24.
class TracedScratch {
 public:
  explicit TracedScratch(std::size_t count) : words_(count, kUntouched) {}

  std::span<std::uint32_t> words() { return words_; }
  std::size_t positions_visited() const {
    std::size_t visited = 0;
    for (const std::uint32_t word : words_) visited += word != kUntouched;
    return visited;
  }

 private:
  static constexpr std::uint32_t kUntouched = 0xdeadbeefU;
  std::vector<std::uint32_t> words_;
};

}  // namespace mote::test
