// SPDX-License-Identifier: Apache-2.0
// Two query heads of one K/V head at once, for RV32IM: each lane of a key is loaded once for both,
// the scale decoded once. Eight lanes of two heads take 44 instructions, or 67 with the scores.
// Weights and values are those of one head after the other.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "attention/attend_steps.hpp"
#include "attention/pair_steps.hpp"

namespace mote {
namespace {

constexpr std::size_t kLanes = 8;

/// Positions whose scores are made. The assembly below knows its layout.
struct PairRows {
  std::int32_t queries[2][kLanes];  // eight lanes, raised
  const std::int8_t* rows;          // where these lanes begin in the next key
  std::int32_t* dots[2];            // of the next position: dot products, then scores
  const Scale16* scales;
  const Scale16* end;
  std::uint32_t factors[2];
  std::uint32_t base;
  std::int32_t best[2];           // scores so far
  const Scale16* best_scales[2];  // of the positions that have them
};
static_assert(offsetof(PairRows, best_scales) == 64 + 10 * 4 || sizeof(void*) != 4);

// Registers: s0 to s7 the one query, s8 to s11, t4 to t6 and ra the other; a0 base, a1 rows, a2 and
// a3 dots, a4 scales, a5 the structure, a6 and a7 factors; t0 and t1 become the dot products.
#define MOTE_RV32_PAIR_REGISTERS                                                                  \
  "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", "s1", \
      "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "ra", "memory"

// clang-format off

#define MOTE_RV32_LOAD_PAIR \
  "mv a5, a0\n"             \
  "lw s0, 0(a5)\n"          \
  "lw s1, 4(a5)\n"          \
  "lw s2, 8(a5)\n"          \
  "lw s3, 12(a5)\n"         \
  "lw s4, 16(a5)\n"         \
  "lw s5, 20(a5)\n"         \
  "lw s6, 24(a5)\n"         \
  "lw s7, 28(a5)\n"         \
  "lw s8, 32(a5)\n"         \
  "lw s9, 36(a5)\n"         \
  "lw s10, 40(a5)\n"        \
  "lw s11, 44(a5)\n"        \
  "lw t4, 48(a5)\n"         \
  "lw t5, 52(a5)\n"         \
  "lw t6, 56(a5)\n"         \
  "lw ra, 60(a5)\n"         \
  "lw a1, 64(a5)\n"         \
  "lw a2, 68(a5)\n"         \
  "lw a3, 72(a5)\n"         \
  "lw a4, 76(a5)\n"         \
  "lw a6, 84(a5)\n"         \
  "lw a7, 88(a5)\n"         \
  "lw a0, 92(a5)\n"
#define MOTE_RV32_LANE(at, one, other) \
  "lb t2, " at "(a1)\n"                \
  "mul t3, t2, " one "\n"              \
  "mul t2, t2, " other "\n"            \
  "add t0, t0, t3\n"                   \
  "add t1, t1, t2\n"
#define MOTE_RV32_EIGHT_LANES      \
  "lb t1, 0(a1)\n"                 \
  "mul t0, t1, s0\n"               \
  "mul t1, t1, s8\n"               \
  MOTE_RV32_LANE("1", "s1", "s9")  \
  MOTE_RV32_LANE("2", "s2", "s10") \
  MOTE_RV32_LANE("3", "s3", "s11") \
  MOTE_RV32_LANE("4", "s4", "t4")  \
  MOTE_RV32_LANE("5", "s5", "t5")  \
  MOTE_RV32_LANE("6", "s6", "t6")  \
  MOTE_RV32_LANE("7", "s7", "ra")
#define MOTE_RV32_ADD_DOTS \
  "lw t2, 0(a2)\n"         \
  "lw t3, 0(a3)\n"         \
  "add t0, t0, t2\n"       \
  "add t1, t1, t3\n"
#define MOTE_RV32_NEXT_POSITION \
  "addi a4, a4, 2\n"            \
  "addi a1, a1, %[stride]\n"    \
  "addi a2, a2, 4\n"            \
  "addi a3, a3, 4\n"
#define MOTE_RV32_DOT_PAIR(add) \
  MOTE_RV32_LOAD_PAIR           \
  "lw a5, 80(a5)\n"             \
  "1:\n"                        \
  MOTE_RV32_EIGHT_LANES         \
  add                           \
  "sw t0, 0(a2)\n"              \
  "sw t1, 0(a3)\n"              \
  MOTE_RV32_NEXT_POSITION       \
  "bne a4, a5, 1b\n"
// Ends behind the last position with 0 in a0, or with 1 behind one that is not usual, whose dot
// products are then in the place of its scores.
#define MOTE_RV32_SCORE_PAIR(add) \
  MOTE_RV32_LOAD_PAIR             \
  "1:\n"                          \
  MOTE_RV32_EIGHT_LANES           \
  add                             \
  "lhu t2, 0(a4)\n"               \
  "srli t3, t2, 11\n"             \
  "sub t3, a0, t3\n"              \
  "bgeu t3, a0, 4f\n"             \
  "andi t2, t2, 2047\n"           \
  "addi t2, t2, 1024\n"           \
  "addi t2, t2, 1024\n"           \
  "mul t0, t0, t2\n"              \
  "mul t1, t1, t2\n"              \
  "mulh t0, t0, a6\n"             \
  "mulh t1, t1, a7\n"             \
  "sra t0, t0, t3\n"              \
  "sra t1, t1, t3\n"              \
  "lw t2, 96(a5)\n"               \
  "lw t3, 100(a5)\n"              \
  "addi t0, t0, 1\n"              \
  "addi t1, t1, 1\n"              \
  "srai t0, t0, 1\n"              \
  "srai t1, t1, 1\n"              \
  "sw t0, 0(a2)\n"                \
  "sw t1, 0(a3)\n"                \
  "blt t2, t0, 2f\n"              \
  "12:\n"                         \
  "blt t3, t1, 3f\n"              \
  "13:\n"                         \
  "lw t2, 80(a5)\n"               \
  MOTE_RV32_NEXT_POSITION         \
  "bne a4, t2, 1b\n"              \
  "li a0, 0\n"                    \
  "5:\n"                          \
  "sw a1, 64(a5)\n"               \
  "sw a2, 68(a5)\n"               \
  "sw a3, 72(a5)\n"               \
  "sw a4, 76(a5)\n"               \
  "j 6f\n"                        \
  "2:\n"                          \
  "sw t0, 96(a5)\n"               \
  "sw a4, 104(a5)\n"              \
  "j 12b\n"                       \
  "3:\n"                          \
  "sw t1, 100(a5)\n"              \
  "sw a4, 108(a5)\n"              \
  "j 13b\n"                       \
  "4:\n"                          \
  "sw t0, 0(a2)\n"                \
  "sw t1, 0(a3)\n"                \
  "li a0, 1\n"                    \
  MOTE_RV32_NEXT_POSITION         \
  "j 5b\n"                        \
  "6:\n"

// clang-format on

/// Dot products of a piece that is not the last. // at least one position
template <std::size_t kStride, bool kIsFirst>
[[gnu::noinline]] void dot_pair(PairRows& rows) {
  register PairRows* first asm("a0") = &rows;
  if constexpr (kIsFirst) {
    asm volatile(MOTE_RV32_DOT_PAIR("")
                 : "+r"(first)
                 : [stride] "i"(kStride)
                 : MOTE_RV32_PAIR_REGISTERS);
  } else {
    asm volatile(MOTE_RV32_DOT_PAIR(MOTE_RV32_ADD_DOTS)
                 : "+r"(first)
                 : [stride] "i"(kStride)
                 : MOTE_RV32_PAIR_REGISTERS);
  }
}

/// Scores, by the last piece. // at least one position
template <std::size_t kStride>
[[gnu::noinline]] std::uintptr_t score_pair(PairRows& rows) {
  register std::uintptr_t first asm("a0") = reinterpret_cast<std::uintptr_t>(&rows);
  if constexpr (kStride == kLanes) {
    asm volatile(MOTE_RV32_SCORE_PAIR("")
                 : "+r"(first)
                 : [stride] "i"(kStride)
                 : MOTE_RV32_PAIR_REGISTERS);
  } else {
    asm volatile(MOTE_RV32_SCORE_PAIR(MOTE_RV32_ADD_DOTS)
                 : "+r"(first)
                 : [stride] "i"(kStride)
                 : MOTE_RV32_PAIR_REGISTERS);
  }
  return first;
}

/// Two heads on their way.
struct Pair {
  const HeadAttention (&heads)[2];
  std::int32_t* scores[2];  // (positions)
  Multiplier factors[2];
  int raise;
  PairRows rows;

  const KvSegment& stored() const { return heads[0].stored; }

  /// The beginning of all rows, for eight lanes from `lane` on.
  void begin(std::size_t lane) {
    for (int h = 0; h < 2; ++h) {
      const std::int8_t* lanes = heads[h].query.values + lane;
      for (std::size_t i = 0; i < kLanes; ++i) rows.queries[h][i] = lanes[i] * (1 << raise);
      rows.dots[h] = scores[h];
    }
    rows.rows = stored().keys + lane;
    rows.scales = stored().key_scales;
    rows.end = rows.scales + stored().count;
  }

  /// Of one position that is not usual, from dot products in the place of scores.
  void score_unusual() {
    const Scale16* const scale = rows.scales - 1;
    for (int h = 0; h < 2; ++h) {
      std::int32_t& place = *(rows.dots[h] - 1);
      place = score_of(place >> raise, *scale, factors[h]);
      if (place <= rows.best[h]) continue;
      rows.best[h] = place;
      rows.best_scales[h] = scale;
    }
  }
};

template <std::size_t kHeadSize>
void score(Pair& pair) {
  PairRows& rows = pair.rows;
  for (std::size_t lane = 0; lane + kLanes < kHeadSize; lane += kLanes) {
    pair.begin(lane);
    lane == 0 ? dot_pair<kHeadSize, true>(rows) : dot_pair<kHeadSize, false>(rows);
  }
  pair.begin(kHeadSize - kLanes);
  while (rows.scales != rows.end) {
    if (score_pair<kHeadSize>(rows) != 0) pair.score_unusual();
  }
}

/// Weights and values of one head.
void finish(HeadAttention& head, std::uint32_t* scores, const Largest& largest) {
  WeightTotals totals(largest.value_scale);
  weigh_segment(scores, totals, head.stored, largest.score);
  add_segment(head.out.values.data(), scores, head.stored, totals.width(), head.out.values.size(),
              true);
  head.out.unit = output_unit(totals);
}

}  // namespace

bool attend_pair(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                 Multiplier score_scale) {
  const KvSegment& stored = heads[0].stored;
  const std::size_t size = heads[0].out.values.size();
  if (heads[1].stored.keys != stored.keys || scratch.size() < std::size_t{2} * stored.count) {
    return false;
  }
  std::uint32_t* const places[2] = {scratch.data(), scratch.data() + stored.count};
  Pair pair = {
      heads,
      {reinterpret_cast<std::int32_t*>(places[0]), reinterpret_cast<std::int32_t*>(places[1])},
      {score_factor(heads[0].query, score_scale), score_factor(heads[1].query, score_scale)},
      pair_raise(size),
      {}};
  PairShift shift;
  if (!align_pair(shift, pair.factors, pair.raise) || shift.base > 32) return false;
  pair.rows.base = shift.base;
  for (int h = 0; h < 2; ++h) {
    pair.rows.factors[h] = shift.factors[h];
    pair.rows.best[h] = std::numeric_limits<std::int32_t>::min();
    pair.rows.best_scales[h] = nullptr;
  }
  switch (size) {
    case kLanes:
      score<kLanes>(pair);
      break;
    case 2 * kLanes:
      score<2 * kLanes>(pair);
      break;
    case 4 * kLanes:
      score<4 * kLanes>(pair);
      break;
    default:
      return false;
  }
  for (int h = 0; h < 2; ++h) {
    Largest largest = {pair.rows.best[h], {}};
    const Scale16* const best = pair.rows.best_scales[h];
    if (best != nullptr) largest.value_scale = stored.value_scales[best - stored.key_scales];
    finish(heads[h], places[h], largest);
  }
  return true;
}

}  // namespace mote
