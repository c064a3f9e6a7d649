// SPDX-License-Identifier: Apache-2.0
// Formats. phi is Q16 in uint32: at least 2^16, so that its rounding is at most 2^-17 of it, and
// limited to 2^32 - 1. A value lane is its int8 times the 12-bit mantissa of its scale, below 2^19
// and exact; the scale's exponent e goes into the unit. So
//
//   S counts in 2^(E - 44), E = exponent of its unit, at least the largest e so far,
//   z counts in 2^(Z - 16), Z = exponent of its unit,
//
// and a token adds round(phi * lane / 2^(E - e)), |phi * lane| < 2^51, and round(phi / 2^Z). While
// E is e these are exact. E and Z grow only where a sum could reach 2^62.
#include "mote/linear_attention.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "attention/attend.hpp"
#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

constexpr int kFeatureFractionBits = 16;
constexpr std::uint64_t kFeatureOne = std::uint64_t{1} << kFeatureFractionBits;
constexpr std::uint64_t kSumLimit = std::uint64_t{1} << 62;
constexpr std::uint64_t kDecayOne = 1U << 16;

// For `attend`, sums are brought to this many bits and cut in two halves.
constexpr int kScaledBits = 44;
constexpr int kHalfBits = kScaledBits / 2;
static_assert((std::uint64_t{kMaxHeadSize} << kHalfBits) * 0xffffffffU < kSumLimit);

/// phi of one lane in Q16: 127 * 4095 * 2^18 < 2^38 before the limit.
std::uint32_t feature(std::int8_t lane, Scale16 scale) {
  if (lane <= 0) return kFeatureOne;
  const auto product = static_cast<std::int64_t>(lane) * scale.mantissa();
  const int shift = kScaleFractionBits - kFeatureFractionBits - scale.exponent();
  const std::int64_t real =
      shift > 0 ? shift_round(product, shift) : product * (std::int64_t{1} << -shift);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(kFeatureOne + static_cast<std::uint64_t>(real), 0xffffffffU));
}

using Features = std::array<std::uint32_t, kMaxHeadSize>;

/// Features of all lanes; returns the largest.
std::uint32_t make_features(Features& out, QuantizedVector x, std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = feature(x.values[i], x.scale);
    largest = std::max<std::uint32_t>(largest, out[i]);
  }
  return largest;
}

/// round(sum * decay / 2^16), half up, in two parts since the product may have 79 bits: those of
/// the upper and of the lower word with decay * 2^16, without their lowest 32 bits. |sum| <= 2^62,
/// decay < 2^16
std::int64_t decayed(std::int64_t sum, std::uint32_t decay) {
  const std::uint32_t raised = decay << 16;
  const std::uint64_t low = std::uint64_t{static_cast<std::uint32_t>(sum)} * raised;
  const std::uint32_t rounded =
      static_cast<std::uint32_t>(low >> 32) + (static_cast<std::uint32_t>(low) >> 31);
  return static_cast<std::int32_t>(sum >> 32) * std::int64_t{raised} + rounded;
}

/// Sums of one kind with their unit. Each operation that rounds a sum moves it by at most a half,
/// so that a bound of one more holds.
struct Sums {
  std::int64_t* values;  // (count)
  std::size_t count;
  SumUnit& unit;

  void decay(std::uint32_t factor) {
    for (std::size_t i = 0; i < count; ++i) values[i] = decayed(values[i], factor);
    unit.bound =
        static_cast<std::uint64_t>(decayed(static_cast<std::int64_t>(unit.bound), factor)) + 1;
  }

  /// Halves sums and unit until it is 2^exponent or more and `addend`, which counts in
  /// 2^(its exponent), can be added. // addend below 2^61
  void make_room(std::uint64_t addend, int exponent) {
    int target = std::max<int>(unit.exponent, exponent);
    while (bound_after(addend, exponent, target) > kSumLimit) ++target;
    const int shift = std::min<int>(target - unit.exponent, 62);
    if (shift > 0) {
      for (std::size_t i = 0; i < count; ++i) values[i] = shift_round(values[i], shift);
    }
    unit.bound = bound_after(addend, exponent, target);
    unit.exponent = target;
  }

 private:
  std::uint64_t bound_after(std::uint64_t addend, int exponent, int target) const {
    const int own = target - unit.exponent;
    const int added = target - exponent;
    return (own == 0 ? unit.bound : (unit.bound >> std::min<int>(own, 63)) + 1) +
           (added == 0 ? addend : (addend >> std::min<int>(added, 63)) + 1);
  }
};

/// sums[j] += round(features[j] * lane / 2^shift), half up. // |lane| < 2^19, 0 <= shift
void add_row(std::int64_t* sums, const Features& features, std::int32_t lane, int shift,
             std::size_t count) {
  // Most tokens have the scale of the largest value so far, and need no rounding.
  if (!kFavorsSize && shift == 0) {
    for (std::size_t j = 0; j < count; ++j) sums[j] += std::int64_t{lane} * features[j];
    return;
  }
  const int drop = std::min<int>(shift, 62);
  const std::int64_t half = drop == 0 ? 0 : std::int64_t{1} << (drop - 1);
  for (std::size_t j = 0; j < count; ++j) {
    sums[j] += (std::int64_t{features[j]} * lane + half) >> drop;
  }
}

/// Shift up, or down if negative, that brings sums to 44 bits.
int scaling_shift(const SumUnit& unit) {
  return kScaledBits - significant_bits(unit.bound);
}

/// sum over j of features[j] * sums[j] * 2^(shift - 22), rounded half up; below 2^62.
/// The scaled sums, at most 2^44, are cut into halves of 22 bits, so that 256 products of either
/// half with a feature of 32 bits stay below 2^62. No feature loses a bit: a small one may meet a
/// large sum.
std::int64_t dot_any_features(const Features& features, const std::int64_t* sums, int shift,
                              std::size_t count) {
  constexpr std::int64_t kLowMask = (std::int64_t{1} << kHalfBits) - 1;
  const std::int64_t up = std::int64_t{1} << std::max<int>(shift, 0);
  const int down = std::max<int>(-shift, 0);
  std::int64_t high = 0;
  std::int64_t low = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::int64_t scaled = shift_round(sums[j] * up, down);
    high += (scaled >> kHalfBits) * features[j];
    low += (scaled & kLowMask) * features[j];
  }
  return high + shift_round(low, kHalfBits);
}

/// The same by words of 32 bits, for features that together are below 2^31. Scaling down is the
/// addition of half a unit, and lower bits set to zero; what shifts there are is done to the whole.
std::int64_t dot_usual_features(const Features& features, const std::int64_t* sums, int shift,
                                std::size_t count) {
  // A bound has at most 62 bits, so that it is scaled down by 18 at most.
  const int down = std::max<int>(-shift, 0);
  const std::uint32_t half = (1U << down) >> 1;
  const std::uint32_t mask = ~0U << down;
  std::int64_t high = 0;
  std::uint64_t low = 0;
  for (std::size_t j = 0; j < count; ++j) {
    const std::uint32_t feature = features[j];
    const std::uint32_t lower = static_cast<std::uint32_t>(sums[j]) + half;
    const std::int32_t upper = static_cast<std::int32_t>(sums[j] >> 32) + (lower < half ? 1 : 0);
    high += std::int64_t{upper} * static_cast<std::int32_t>(feature);
    low += std::uint64_t{lower & mask} * feature;
  }
  // high * 2^32 + low, rounded to multiples of 2^drop.
  high += static_cast<std::int64_t>(low >> 32);
  const auto rest = static_cast<std::uint32_t>(low);
  const int drop = kHalfBits - shift;
  if (drop > 32) return shift_round(high, drop - 32);
  if (drop <= 0) return (high * (std::int64_t{1} << 32) + rest) * (std::int64_t{1} << -drop);
  const std::uint32_t twice = rest >> (drop - 1);
  return high * (std::int64_t{1} << (32 - drop)) + (twice >> 1) + (twice & 1);
}

std::int64_t dot_features(const Features& features, std::uint32_t largest, const std::int64_t* sums,
                          int shift, std::size_t count) {
  if (!kFavorsSize && std::uint64_t{largest} * count < (1U << 31)) {
    return dot_usual_features(features, sums, shift, count);
  }
  return dot_any_features(features, sums, shift, count);
}
}  // namespace

LinearAttention::LinearAttention(const LinearShape& shape, std::span<std::byte> state,
                                 std::span<const std::uint32_t> decays)
    : shape_(shape), decays_(decays) {
  MOTE_ASSERT(state.size() >= state_bytes(shape) && shape.head_size <= kMaxHeadSize);
  MOTE_ASSERT(decays.empty() || decays.size() == shape.n_kv_heads);
  Arena arena(state);
  sums_ = arena.take<std::int64_t>(sums_count(shape)).data();
  units_ = arena.take<SumUnit>(std::size_t{2} * shape.n_kv_heads).data();
}

std::int64_t* LinearAttention::sums(std::uint32_t kv_head) const {
  return sums_ + std::size_t{kv_head} * (shape_.head_size + 1) * shape_.head_size;
}

void LinearAttention::reset() {
  std::fill_n(sums_, sums_count(shape_), std::int64_t{0});
  std::fill_n(units_, std::size_t{2} * shape_.n_kv_heads, SumUnit{});
}

void LinearAttention::update(std::uint32_t kv_head, const QuantizedVector& key,
                             const QuantizedVector& value) {
  MOTE_ASSERT(kv_head < shape_.n_kv_heads);
  const std::size_t n = shape_.head_size;
  Features features;
  const std::uint64_t largest = make_features(features, key, n);
  std::int64_t* row = sums(kv_head);
  Sums values = {row, n * n, units_[2 * kv_head]};
  Sums keys = {row + n * n, n, units_[2 * kv_head + 1]};
  if (!decays_.empty() && decays_[kv_head] != kDecayOne) {
    values.decay(decays_[kv_head]);
    keys.decay(decays_[kv_head]);
  }
  // A lane is at most 128 times the mantissa. A value of scale zero adds nothing, and its exponent
  // is zero, so that it never makes the unit coarser.
  values.make_room(largest * 128 * value.scale.mantissa(), value.scale.exponent());
  keys.make_room(largest, 0);

  const auto mantissa = static_cast<std::int32_t>(value.scale.mantissa());
  const int shift = values.unit.exponent - value.scale.exponent();
  for (std::size_t i = 0; i < n; ++i, row += n) {
    add_row(row, features, value.values[i] * mantissa, shift, n);
  }
  add_row(row, features, 1, keys.unit.exponent, n);
}

void LinearAttention::attend(WideVector& out, std::uint32_t head,
                             const QuantizedVector& query) const {
  MOTE_ASSERT(head < shape_.n_heads && out.values.size() == shape_.head_size);
  const std::size_t n = shape_.head_size;
  const std::uint32_t kv_head = head / (shape_.n_heads / shape_.n_kv_heads);
  const SumUnit& values = units_[2 * kv_head];
  const SumUnit& keys = units_[2 * kv_head + 1];
  const int value_shift = scaling_shift(values);
  const int key_shift = scaling_shift(keys);
  Features features;
  const std::uint32_t largest = make_features(features, query, n);

  const std::int64_t* row = sums(kv_head);
  for (std::size_t i = 0; i < n; ++i, row += n) {
    out.values[i] = dot_features(features, largest, row, value_shift, n);
  }
  const std::int64_t denominator = dot_features(features, largest, row, key_shift, n);
  // Before the first token both are zero, and any unit will do. After it the denominator has more
  // than 32 bits: the z together reach their bound, 2^43 or more once scaled, and each phi(q) is at
  // least 2^16.
  const int exponent = (values.exponent - 44 - value_shift) - (keys.exponent - 16 - key_shift);
  out.unit =
      reciprocal(static_cast<std::uint64_t>(std::max<std::int64_t>(denominator, 1)), exponent);
}

}  // namespace mote
