// SPDX-License-Identifier: Apache-2.0
// Scores and sums of values for RV32IM, which has no vectors but 31 registers: eight lanes of the
// query, or eight sums, stay in registers while the rows go by, and what a position needs besides
// its lanes is done in the same loops. These call nothing and leave what is rare to others, so that
// compilers need not keep anything in memory.
#include <algorithm>
#include <bit>
#include <utility>

#include "attention/attend_steps.hpp"

namespace mote {
namespace {

constexpr std::size_t kLanes = 8;
using Lanes = std::make_index_sequence<kLanes>;
using OneLane = std::make_index_sequence<1>;

/// Contributions whose products with lanes, up to 2^7 each, int32 can add up.
constexpr std::uint32_t kContributionsPerFold = (1 << 24) - 1;
static_assert((1 << kContributionBits) <= kContributionsPerFold);
// Bits of a weight (2^24) times a mantissa (below 2^12) that are dropped before it is shifted.
constexpr int kProductDrop = 12;

/// By how many bits a product with a mantissa is shifted, of scales that have an implied bit:
/// `base` less the stored exponent, where that is 0 to 31 and less than `base`.
struct Shifts {
  std::uint32_t base;
  std::uint32_t limit;

  explicit Shifts(int shift)
      : base(static_cast<std::uint32_t>(shift)),
        limit(static_cast<std::uint32_t>(std::clamp<int>(shift, 0, 32))) {}
};

/// The bits of a scale, of which compilers need not know that they are 16: they would see to it
/// again.
std::uint32_t load_bits(const Scale16* scale) {
  std::uint32_t bits = scale->bits;
  asm("" : "+r"(bits));
  return bits;
}

std::uint32_t high_product(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
}

/// Bits by which a dot product can be raised within 32, so that the upper half of its 64-bit
/// product with the mantissas is all that a score needs. 9 for 256 lanes.
int dot_raise(std::size_t head_size) {
  return std::countl_zero(static_cast<std::uint32_t>(head_size << 14)) - 1;
}

/// The lanes of one piece of all keys, but the last: dots = or += their products with the query's.
///   raise  of the query; rows  where the piece begins in the first row; the next is `width`
///   further
template <std::size_t... I>
void dot_piece(std::int32_t* dots, const std::int8_t* rows, const std::int8_t* query, int raise,
               std::size_t count, std::size_t width, bool is_first, std::index_sequence<I...>) {
  const std::int32_t lanes[] = {query[I] * (1 << raise)...};
  const std::int32_t* const end = dots + count;
  if (is_first) {
    for (; dots != end; ++dots, rows += width) *dots = ((lanes[I] * rows[I]) + ...);
  } else {
    for (; dots != end; ++dots, rows += width) *dots += ((lanes[I] * rows[I]) + ...);
  }
}

/// The last piece of the keys, which turns dot products into scores.
struct Scoring {
  std::int32_t* dots;
  const std::int32_t* end;
  const std::int8_t* rows;
  const Scale16* scale;
  std::size_t width;
  std::uint32_t mantissa;
  Shifts shifts;
  std::int32_t best;          // score so far
  const Scale16* best_scale;  // of the key that has it; null where it is of another segment
};

/// Ends where a scale is unusual: its dot product, raised, is then in the place of the score.
template <bool kIsOnly, std::size_t... I>
[[gnu::noinline]] void score_piece(Scoring& s, const std::int8_t* query, int raise,
                                   std::index_sequence<I...>) {
  const std::int32_t lanes[] = {query[I] * (1 << raise)...};
  const std::int32_t* const end = s.end;
  const std::size_t width = kIsOnly ? sizeof...(I) : s.width;
  const std::uint32_t mantissa = s.mantissa;
  const Shifts shifts = s.shifts;
  std::int32_t best = s.best;
  const Scale16* best_scale = s.best_scale;
  std::int32_t* dots = s.dots;
  const std::int8_t* rows = s.rows;
  const Scale16* scale = s.scale;
  for (; dots != end; ++dots, ++scale, rows += width) {
    const std::int32_t dot = ((lanes[I] * rows[I]) + ...) + (kIsOnly ? 0 : *dots);
    const std::uint32_t bits = load_bits(scale);
    const std::uint32_t shift = shifts.base - (bits >> 11);
    if (shift >= shifts.limit) {
      *dots = dot;
      break;
    }
    const std::int64_t product = std::int64_t{dot} * (((bits & 0x7ff) | 0x800) * mantissa);
    const std::int32_t score = ((static_cast<std::int32_t>(product >> 32) >> shift) + 1) >> 1;
    *dots = score;
    if (score > best) {
      best = score;
      best_scale = scale;
    }
  }
  s.dots = dots;
  s.rows = rows;
  s.scale = scale;
  s.best = best;
  s.best_scale = best_scale;
}

template <bool kIsOnly, typename Piece>
void score_all(Scoring& s, const std::int8_t* query, Multiplier factor, int raise, Piece lanes) {
  for (;;) {
    score_piece<kIsOnly>(s, query, raise, lanes);
    if (s.dots == s.end) return;
    *s.dots = score_of(*s.dots >> raise, *s.scale, factor);
    if (*s.dots > s.best) {
      s.best = *s.dots;
      s.best_scale = s.scale;
    }
    ++s.dots;
    ++s.scale;
    s.rows += s.width;
  }
}

/// The first piece of the values, for which weights become contributions.
struct Adding {
  std::uint32_t* weights;
  const std::uint32_t* end;
  const std::int8_t* rows;
  const Scale16* scale;
  std::size_t width;
  Shifts shifts;
};

/// sums[I] += the lanes of the piece, times contributions, which are written unless no other lanes
/// need them. Ends where the sums are full, or with true where a scale is unusual.
template <bool kIsOnly, std::size_t... I>
[[gnu::noinline]] bool scale_and_add_piece(std::int64_t* sums, Adding& a,
                                           std::index_sequence<I...>) {
  const std::uint32_t* const end = a.end;
  const std::size_t width = kIsOnly ? sizeof...(I) : a.width;
  const Shifts shifts = a.shifts;
  std::uint32_t* weights = a.weights;
  const std::int8_t* rows = a.rows;
  const Scale16* scale = a.scale;
  std::int32_t part[sizeof...(I)] = {};
  std::uint32_t room = kContributionsPerFold;
  bool is_unusual = false;
  for (; weights != end; ++weights, ++scale, rows += width) {
    const std::uint32_t weight = *weights;
    if (weight == 0) continue;
    const std::uint32_t bits = load_bits(scale);
    const std::uint32_t shift = shifts.base - (bits >> 11);
    is_unusual = shift >= shifts.limit;
    if (is_unusual) break;
    const std::uint32_t dropped = high_product(weight, (bits << 20) | (1U << 31));
    const std::uint32_t scaled = ((dropped >> shift) + 1) >> 1;
    if (scaled > room) break;
    room -= scaled;
    if (!kIsOnly) *weights = scaled;
    ((part[I] += static_cast<std::int32_t>(scaled) * rows[I]), ...);
  }
  ((sums[I] += part[I]), ...);
  a.weights = weights;
  a.rows = rows;
  a.scale = scale;
  return is_unusual;
}

template <bool kIsOnly, std::size_t... I>
void scale_and_add_all(std::int64_t* sums, Adding a, int width, std::index_sequence<I...> lanes) {
  while (a.weights != a.end) {
    if (!scale_and_add_piece<kIsOnly>(sums, a, lanes)) continue;
    const std::int32_t scaled = contribution(*a.weights, *a.scale, width);
    *a.weights = static_cast<std::uint32_t>(scaled);
    ((sums[I] += scaled * a.rows[I]), ...);
    ++a.weights;
    ++a.scale;
    a.rows += a.width;
  }
}

/// sums[I] += the lanes of a further piece of all values, times contributions.
template <std::size_t... I>
void add_piece(std::int64_t* sums, const std::int8_t* rows, const std::uint32_t* scaled,
               std::size_t count, std::size_t width, std::index_sequence<I...>) {
  const std::uint32_t* const end = scaled + count;
  while (scaled != end) {
    std::int32_t part[sizeof...(I)] = {};
    std::uint32_t room = kContributionsPerFold;
    for (; scaled != end; ++scaled, rows += width) {
      const std::uint32_t weight = *scaled;
      if (weight == 0) continue;
      if (weight > room) break;
      room -= weight;
      ((part[I] += static_cast<std::int32_t>(weight) * rows[I]), ...);
    }
    ((sums[I] += part[I]), ...);
  }
}

/// Lanes of the piece that is done with the scales: the last of a key, the first of a value.
template <typename Visit>
void visit_main_piece(std::size_t lanes, const Visit& visit) {
  if (lanes >= kLanes) return visit(Lanes());
  visit(OneLane());
}

}  // namespace

void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                   const std::int8_t* query, Multiplier factor, std::size_t head_size) {
  auto* dots = reinterpret_cast<std::int32_t*>(scores);
  const std::size_t count = segment.count;
  const int raise = dot_raise(head_size);
  // Single lanes first, so that the last piece is a long one.
  std::size_t i = 0;
  const std::size_t single = head_size < kLanes ? head_size - 1 : head_size % kLanes;
  for (; i < single; ++i) {
    dot_piece(dots, segment.keys + i, query + i, raise, count, head_size, i == 0, OneLane());
  }
  for (; i + kLanes < head_size; i += kLanes) {
    dot_piece(dots, segment.keys + i, query + i, raise, count, head_size, i == 0, Lanes());
  }
  // The upper half of a product is shifted by one bit more, which rounds.
  Scoring scoring = {dots,
                     dots + count,
                     segment.keys + i,
                     segment.key_scales,
                     head_size,
                     factor.mantissa,
                     Shifts(raise + 1 - 33 - factor.exponent),
                     largest.score,
                     nullptr};
  visit_main_piece(head_size, [&](auto lanes) {
    if (i == 0) return score_all<true>(scoring, query, factor, raise, lanes);
    score_all<false>(scoring, query + i, factor, raise, lanes);
  });
  if (scoring.best_scale == nullptr) return;
  largest = {scoring.best, segment.value_scales[scoring.best_scale - segment.key_scales]};
}

void add_segment(std::int64_t* out, std::uint32_t* weights, const KvSegment& segment, int width,
                 std::size_t head_size, bool is_first) {
  if (is_first) clear_lanes(out, head_size);
  // The dropped product is shifted by one bit more, which rounds.
  const Adding adding = {weights,        weights + segment.count,
                         segment.values, segment.value_scales,
                         head_size,      Shifts(width - kContributionBits - kProductDrop)};
  std::size_t i = head_size < kLanes ? 1 : kLanes;
  visit_main_piece(head_size, [&](auto lanes) {
    if (i == head_size) return scale_and_add_all<true>(out, adding, width, lanes);
    scale_and_add_all<false>(out, adding, width, lanes);
  });
  for (; i + kLanes <= head_size; i += kLanes) {
    add_piece(out + i, segment.values + i, weights, segment.count, head_size, Lanes());
  }
  for (; i < head_size; ++i) {
    add_piece(out + i, segment.values + i, weights, segment.count, head_size, OneLane());
  }
}

}  // namespace mote
