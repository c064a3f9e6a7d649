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
#include "attention/linear_steps.hpp"
#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

constexpr int kFeatureFractionBits = 16;
constexpr std::uint64_t kFeatureOne = std::uint64_t{1} << kFeatureFractionBits;
constexpr std::uint64_t kSumLimit = std::uint64_t{1} << 62;
constexpr std::uint32_t kDecayOne = 1U << 16;

// For `attend`, sums are brought to this many bits and cut in two halves.
constexpr int kScaledBits = 44;
constexpr int kHalfBits = kScaledBits / 2;
/// Lanes of the longest heads that are attended to two at a time.
constexpr std::size_t kMostPairLanes = 64;
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

/// Sums of one kind with their unit. Each operation that rounds a sum moves it by at most a half,
/// so that a bound of one more holds.
struct Sums {
  std::int64_t* values;  // (count)
  std::size_t count;
  SumUnit& unit;

  void decay(std::uint32_t factor) {
    for (std::size_t i = 0; i < count; ++i) values[i] = decayed(values[i], factor);
  }

  void decay_bound(std::uint32_t factor) {
    unit.bound =
        static_cast<std::uint64_t>(decayed(static_cast<std::int64_t>(unit.bound), factor)) + 1;
  }

  /// By how many bits sums and unit are to be shifted, until it is 2^exponent or more and `addend`,
  /// which counts in 2^(its exponent), can be added; done to the unit. // addend below 2^61
  int make_room(std::uint64_t addend, int exponent) {
    int target = std::max<int>(unit.exponent, exponent);
    while (bound_after(addend, exponent, target) > kSumLimit) ++target;
    const int shift = std::min<int>(target - unit.exponent, 62);
    unit.bound = bound_after(addend, exponent, target);
    unit.exponent = target;
    return shift;
  }

  void halve(int shift) {
    if (shift <= 0) return;
    for (std::size_t i = 0; i < count; ++i) values[i] = shift_round(values[i], shift);
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

/// A token on its way into the sums.
struct Token {
  Features features;  // of its key
  std::uint32_t largest;
  std::uint32_t decay;
  std::size_t lanes;
};

/// Decays sums and adds the features times each of `lanes`, in units of `scale`.
///   lanes (sums.count / token.lanes), none above `most`
void add_token(Sums sums, const Token& token, const std::int8_t* lanes, Scale16 scale,
               std::uint32_t most) {
  const bool decays = token.decay != kDecayOne;
  if (decays) sums.decay_bound(token.decay);
  const auto mantissa = static_cast<std::int32_t>(scale.mantissa());
  const int halvings =
      sums.make_room(std::uint64_t{token.largest} * most * scale.mantissa(), scale.exponent());
  const int shift = sums.unit.exponent - scale.exponent();
  const bool is_usual =
      !kFavorsSize && decays && halvings <= 0 && shift < 32 && token.largest < (1U << 31);
  if (!is_usual && decays) sums.decay(token.decay);
  if (!is_usual) sums.halve(halvings);
  std::int64_t* const end = sums.values + sums.count;
  for (std::int64_t* row = sums.values; row != end; row += token.lanes) {
    const std::int32_t lane = *lanes++ * mantissa;
    if (is_usual) {
      decay_and_add(row, token.features.data(), lane, shift, token.decay, token.lanes);
    } else {
      add_row(row, token.features, lane, shift, token.lanes);
    }
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

/// high * 2^32 + low times 2^(shift - 22), rounded half up.
std::int64_t scale_sum(WideSum sum, int shift) {
  const std::int64_t high = sum.high + static_cast<std::int64_t>(sum.low >> 32);
  const auto rest = static_cast<std::uint32_t>(sum.low);
  const int drop = kHalfBits - shift;
  if (drop > 32) return shift_round(high, drop - 32);
  if (drop <= 0) return (high * (std::int64_t{1} << 32) + rest) * (std::int64_t{1} << -drop);
  const std::uint32_t twice = rest >> (drop - 1);
  return high * (std::int64_t{1} << (32 - drop)) + (twice >> 1) + (twice & 1);
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
  return scale_sum({high, low}, shift);
}

std::int64_t dot_features(const Features& features, std::uint32_t largest, const std::int64_t* sums,
                          int shift, std::size_t count) {
  if (!kFavorsSize && std::uint64_t{largest} * count < (1U << 31)) {
    return dot_usual_features(features, sums, shift, count);
  }
  return dot_any_features(features, sums, shift, count);
}

/// Features of two heads by turns. False where those of a head may reach 2^31 together.
///   out (count, 2)
bool make_features_of_two(std::uint32_t* out, const QuantizedVector (&queries)[2],
                          std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (const QuantizedVector& query : queries) {
      *out = feature(query.values[i], query.scale);
      largest = std::max<std::uint32_t>(largest, *out++);
    }
  }
  return std::uint64_t{largest} * count < (1U << 31);
}

/// dot_usual_features of two heads.
///   features (count, 2)
void dot_two_scaled(std::int64_t (&out)[2], const std::uint32_t* features, const std::int64_t* sums,
                    int shift, std::size_t count) {
  std::int64_t scaled[kMostPairLanes];
  if (shift < 0) {
    const std::int64_t half = (std::int64_t{1} << -shift) >> 1;
    for (std::size_t j = 0; j < count; ++j) scaled[j] = (sums[j] + half) & -(2 * half);
    sums = scaled;
  }
  WideSum totals[2];
  dot_two_features(totals, sums, features, count);
  for (int h = 0; h < 2; ++h) out[h] = scale_sum(totals[h], shift);
}

/// Sums of one kind as `attend` reads them.
struct ScaledUnit {
  int shift;     // of scaling_shift
  int exponent;  // of what is scaled

  ScaledUnit(const SumUnit& unit, int fraction_bits)
      : shift(scaling_shift(unit)), exponent(unit.exponent - fraction_bits - shift) {}
};

/// The unit of outputs. Before the first token both sums are zero, and any unit will do. After it
/// the denominator has more than 32 bits: the z together reach their bound, 2^43 or more once
/// scaled, and each phi(q) is at least 2^16.
Multiplier unit_of(const ScaledUnit& values, const ScaledUnit& keys, std::int64_t denominator) {
  return reciprocal(static_cast<std::uint64_t>(std::max<std::int64_t>(denominator, 1)),
                    values.exponent - keys.exponent);
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
  Token token;
  token.largest = make_features(token.features, key, n);
  token.decay = decays_.empty() ? kDecayOne : decays_[kv_head];
  token.lanes = n;
  std::int64_t* const values = sums(kv_head);
  SumUnit* const units = &units_[2 * kv_head];
  // A lane is at most 128 times the mantissa. A value of scale zero adds nothing, and its exponent
  // is zero, so that it never makes the unit coarser.
  add_token({values, n * n, units[0]}, token, value.values, value.scale, 128);
  constexpr std::int8_t kOne = 1;
  add_token({values + n * n, n, units[1]}, token, &kOne, Scale16{1}, 1);
}

void LinearAttention::attend(WideVector& out, std::uint32_t head,
                             const QuantizedVector& query) const {
  MOTE_ASSERT(head < shape_.n_heads && out.values.size() == shape_.head_size);
  const std::size_t n = shape_.head_size;
  const std::uint32_t kv_head = head / (shape_.n_heads / shape_.n_kv_heads);
  const ScaledUnit values(units_[2 * kv_head], 44);
  const ScaledUnit keys(units_[2 * kv_head + 1], 16);
  Features features;
  const std::uint32_t largest = make_features(features, query, n);

  const std::int64_t* row = sums(kv_head);
  for (std::size_t i = 0; i < n; ++i, row += n) {
    out.values[i] = dot_features(features, largest, row, values.shift, n);
  }
  const std::int64_t denominator = dot_features(features, largest, row, keys.shift, n);
  out.unit = unit_of(values, keys, denominator);
}

void LinearAttention::attend_two(WideVector (&out)[2], std::uint32_t head,
                                 const QuantizedVector (&queries)[2]) const {
  const std::size_t n = shape_.head_size;
  const std::uint32_t group = shape_.n_heads / shape_.n_kv_heads;
  std::uint32_t features[2 * kMostPairLanes];
  const bool is_usual = n <= kMostPairLanes && (head + 1) / group == head / group &&
                        make_features_of_two(features, queries, n);
  if (!is_usual) {
    attend(out[0], head, queries[0]);
    return attend(out[1], head + 1, queries[1]);
  }
  const ScaledUnit values(units_[head / group * 2], 44);
  const ScaledUnit keys(units_[head / group * 2 + 1], 16);
  const std::int64_t* row = sums(head / group);
  std::int64_t both[2];
  for (std::size_t i = 0; i < n; ++i, row += n) {
    dot_two_scaled(both, features, row, values.shift, n);
    for (int h = 0; h < 2; ++h) out[h].values[i] = both[h];
  }
  dot_two_scaled(both, features, row, keys.shift, n);
  for (int h = 0; h < 2; ++h) out[h].unit = unit_of(values, keys, both[h]);
}

}  // namespace mote
