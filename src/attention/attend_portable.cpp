// SPDX-License-Identifier: Apache-2.0
// Scores and sums of values by loops over all positions for each operation, of which compilers make
// vectors.
#include <algorithm>
#include <bit>

#include "attention/attend_steps.hpp"
#include "base/platform.hpp"
#include "kernels/head_rows.hpp"

namespace mote {
namespace {

static_assert(kMaxRowWeight == 1 << kContributionBits);
// Bits of a weight (2^24) times a mantissa (below 2^12) that do not fit 32.
constexpr int kProductDrop = 5;

// The scales of stored positions are decoded here rather than by Scale16, 32 bits at a time; those
// below 2^11, which have no implied bit, are rare and left to Scale16. Where space matters all are.
constexpr std::uint32_t kFirstNormal = 0x800;

/// The mantissa of a scale of kFirstNormal or more.
std::uint32_t normal_mantissa(std::uint32_t bits) {
  return (bits & 0x7ffU) | 0x800U;
}

/// Bits by which a dot product can be raised within 32, so that the upper half of its 64-bit
/// product with the mantissas is all that a score needs. 9 for 256 lanes.
int dot_raise(std::size_t head_size) {
  return std::countl_zero(static_cast<std::uint32_t>(head_size << 14)) - 1;
}

/// floor(weight * mantissa / 2^kProductDrop). // weight up to 2^24, mantissa below 2^12
std::uint32_t dropped_product(std::uint32_t weight, std::uint32_t mantissa) {
  return static_cast<std::uint32_t>(
      (std::uint64_t{weight << 7} * (mantissa << (25 - kProductDrop))) >> 32);
}

/// Replaces a segment's weights by contributions.
void scale_segment(std::uint32_t* weights, const KvSegment& segment, int width) {
  // With the stored exponent e the dropped product is shifted by base - e + 1 bits, one of which
  // rounds.
  const int base = width - kContributionBits - kProductDrop;
  const Scale16* scale = segment.value_scales;
  const std::uint32_t* const end = weights + segment.count;
  for (; weights != end; ++weights, ++scale) {
    const std::uint32_t bits = scale->bits;
    const std::uint32_t shift = static_cast<std::uint32_t>(base) - (bits >> 11);
    if (!kFavorsSize && bits >= kFirstNormal && shift < 32) {
      *weights = ((dropped_product(*weights, normal_mantissa(bits)) >> shift) + 1) >> 1;
    } else {
      *weights = static_cast<std::uint32_t>(contribution(*weights, *scale, width));
    }
  }
}

}  // namespace

void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                   const std::int8_t* query, Multiplier factor, std::size_t head_size) {
  auto* dots = reinterpret_cast<std::int32_t*>(scores);
  const std::int32_t* const end = dots + segment.count;
  const Scale16* scale = segment.key_scales;
  dot_rows_s8_s32(dots, segment.keys, query, segment.count, head_size);
  // With the stored exponent e the upper half is shifted by base - e + 1 bits, one of which rounds.
  // That holds for normal scales and shifts within 32 bits, those from `first` on.
  const int raise = dot_raise(head_size);
  const int base = raise + 1 - 33 - factor.exponent;
  const int first = std::max<int>(1, base - 31);
  const int count = std::min<int>(31, base) - first + 1;
  const auto usual = static_cast<std::uint32_t>(std::max<int>(count, 0));
  std::int32_t best = largest.score;
  for (; dots != end; ++dots, ++scale) {
    const std::uint32_t bits = scale->bits;
    const std::uint32_t exponent = bits >> 11;
    std::int32_t score = 0;
    if (!kFavorsSize && exponent - static_cast<std::uint32_t>(first) < usual) {
      const std::int64_t product =
          std::int64_t{*dots * (1 << raise)} * (normal_mantissa(bits) * factor.mantissa);
      const auto high = static_cast<std::int32_t>(product >> 32);
      score = ((high >> (base - static_cast<int>(exponent))) + 1) >> 1;
    } else {
      score = score_of(*dots, *scale, factor);
    }
    *dots = score;
    if (score > best) {
      best = score;
      largest.value_scale = segment.value_scales[scale - segment.key_scales];
    }
  }
  largest.score = best;
}

void add_segment(std::int64_t* out, std::uint32_t* weights, const KvSegment& segment, int width,
                 std::size_t head_size, bool is_first) {
  if (is_first) std::fill_n(out, head_size, std::int64_t{0});
  scale_segment(weights, segment, width);
  add_rows_s8_s64(out, segment.values, reinterpret_cast<const std::int32_t*>(weights),
                  segment.count, head_size);
}

}  // namespace mote
