// SPDX-License-Identifier: Apache-2.0
// Two query heads of one K/V head at once, for Cortex-M with the DSP extension: keys are loaded and
// widened once for both, scales decoded once. A position of two heads of 8 lanes takes 39
// instructions for the scores, 39 for the weights, 22 for the contributions, and then 17 each for
// the values.
//
// Scores, weights and contributions of the two heads stand side by side. Weights are raised by 6
// bits, as they come out of the rounding.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "attention/attend_armv7em.hpp"
#include "attention/attend_steps.hpp"
#include "attention/pair_steps.hpp"
#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

using armv7em::Contributions;
using armv7em::kLanes;
using armv7em::kPositionsPerPart;

constexpr int kWeightRaise = 6;
static_assert(kWeightFractionBits + kWeightRaise == 30 && kScoreFractionBits == 16);
/// What the scores of two heads need besides their queries. The assembly below knows the layout of
/// this and the other structures.
struct ScoreTwo {
  std::uint32_t base;  // a scale whose stored exponent is at least 1 and at most base is usual
  std::uint32_t factors[2];
  std::int32_t best[2];           // scores so far
  const std::uint32_t* end;       // of the scores
  std::uint32_t* scores;          // of the next position
  const std::int8_t* keys;        // likewise
  const Scale16* scales;          // likewise
  const std::uint32_t* after[2];  // the scores of the positions that have the best
};

/// Queries as armv7em::extend leaves them, eight lanes of the one and of the other by turns, behind
/// which `rest` stands.
template <std::size_t kPieces>
struct Scoring {
  std::uint32_t queries[kPieces][2][kLanes / 2];
  ScoreTwo rest;
};

struct WeighTwo {
  std::uint32_t* scores;  // of the next position
  const Scale16* scales;
  const std::uint32_t* end;
  std::int32_t largest[2];
  const std::uint32_t* powers;  // kPowersOfTwo
  std::uint32_t sums[2];
  std::uint32_t limit;  // the lower of both heads
  int widths[2];        // less 11, more by the raise
};

struct ScaleTwo {
  const std::uint32_t* weights;  // of the next position
  const Scale16* scales;
  std::uint32_t* out;
  const std::uint32_t* end;  // of the weights
  std::uint32_t base;        // the lower of both heads
  std::uint32_t shifts[2];   // what is added to base less the exponent
  std::uint32_t sums[2];
};

// clang-format off

// Eight lanes of a key times those of the queries, to the sums r0 and r12, by `first` and then
// SMLAD.
#define MOTE_DOT_TWO(first, a, b)             \
  "ldrd r4, r6, [r2], #8\n"                   \
  "sxtb16 r5, r4, ror #8\n"                   \
  "sxtb16 r4, r4\n"                           \
  "sxtb16 r7, r6, ror #8\n"                   \
  "sxtb16 r6, r6\n"                           \
  "ldmia lr!, {r8-r11}\n"                     \
  first " r0, r4, r8" a "\n"                  \
  "smlad r0, r5, r9, r0\n"                    \
  "smlad r0, r6, r10, r0\n"                   \
  "smlad r0, r7, r11, r0\n"                   \
  "ldmia lr!, {r8-r11}\n"                     \
  first " r12, r4, r8" b "\n"                 \
  "smlad r12, r5, r9, r12\n"                  \
  "smlad r12, r6, r10, r12\n"                 \
  "smlad r12, r7, r11, r12\n"
#define MOTE_DOT_FIRST MOTE_DOT_TWO("smuad", "", "")
#define MOTE_DOT_NEXT MOTE_DOT_TWO("smlad", ", r0", ", r12")
// Ends behind the last position with 0, or with 1 behind one that is not usual, whose dot products
// are then in the place of its scores.
#define MOTE_SCORE_TWO(bytes, dots)           \
  asm("push {r4-r11, lr}\n"                   \
      "add lr, r0, #" bytes "\n"              \
      "ldrd r1, r2, [lr, #24]\n"              \
      "ldr r3, [lr, #32]\n"                   \
      "1:\n"                                  \
      "sub lr, lr, #" bytes "\n"              \
      dots                                    \
      "ldm lr, {r4-r8, r11}\n"                \
      "ldrh r9, [r3], #2\n"                   \
      "ubfx r10, r9, #0, #11\n"               \
      "sub r9, r4, r9, lsr #11\n"             \
      "orr r10, r10, #0x800\n"                \
      "cmp r9, r4\n"                          \
      "bhs 4f\n"                              \
      "add r9, r9, #1\n"                      \
      "mul r0, r0, r10\n"                     \
      "mul r12, r12, r10\n"                   \
      "smmul r0, r0, r5\n"                    \
      "smmul r12, r12, r6\n"                  \
      "asrs r0, r0, r9\n"                     \
      "adc r0, r0, #0\n"                      \
      "asrs r12, r12, r9\n"                   \
      "adc r12, r12, #0\n"                    \
      "strd r0, r12, [r1], #8\n"              \
      "cmp r0, r7\n"                          \
      "bgt 2f\n"                              \
      "12:\n"                                 \
      "cmp r12, r8\n"                         \
      "bgt 3f\n"                              \
      "13:\n"                                 \
      "cmp r1, r11\n"                         \
      "bne 1b\n"                              \
      "mov r0, #0\n"                          \
      "5:\n"                                  \
      "strd r1, r2, [lr, #24]\n"              \
      "str r3, [lr, #32]\n"                   \
      "pop {r4-r11, pc}\n"                    \
      "2:\n"                                  \
      "str r0, [lr, #12]\n"                   \
      "str r1, [lr, #36]\n"                   \
      "b 12b\n"                               \
      "3:\n"                                  \
      "str r12, [lr, #16]\n"                  \
      "str r1, [lr, #40]\n"                   \
      "b 13b\n"                               \
      "4:\n"                                  \
      "strd r0, r12, [r1], #8\n"              \
      "mov r0, #1\n"                          \
      "b 5b\n")

[[gnu::naked]] std::uint32_t score_two(Scoring<1>*) { MOTE_SCORE_TWO("32", MOTE_DOT_FIRST); }
[[gnu::naked]] std::uint32_t score_two(Scoring<2>*) {
  MOTE_SCORE_TWO("64", MOTE_DOT_FIRST MOTE_DOT_NEXT);
}
[[gnu::naked]] std::uint32_t score_two(Scoring<4>*) {
  MOTE_SCORE_TWO("128", MOTE_DOT_FIRST MOTE_DOT_NEXT MOTE_DOT_NEXT MOTE_DOT_NEXT);
}

// softmax_weight, raised, of the score `r`; `largest` is that of the head. r11, r12 and lr are
// scratch. A shift by 0 drops no bit, and the comparison left no carry.
#define MOTE_WEIGH_ONE(r, largest, far, back) \
  "sub " r ", " largest ", " r "\n"           \
  "cmp " r ", #0x1a0000\n"                    \
  "bhs " far "f\n"                            \
  "ubfx r11, " r ", #8, #8\n"                 \
  "add r11, r7, r11, lsl #2\n"                \
  "ldrd r11, r12, [r11]\n"                    \
  "uxtb lr, " r "\n"                          \
  "lsr " r ", " r ", #16\n"                   \
  "sub r12, r11, r12\n"                       \
  "mla r12, r12, lr, r8\n"                    \
  "sub r11, r11, r12, lsr #8\n"               \
  "lsrs " r ", r11, " r "\n"                  \
  "adc " r ", " r ", #32\n"                   \
  "bic " r ", " r ", #63\n"                   \
  back ":\n"

/// Ends behind the last position with 0, or with another number behind one that may widen the
/// totals of a head, whose weights are made and added all the same.
[[gnu::naked]] std::uint32_t weigh_two(WeighTwo*) {
  asm("push {r0, r4-r11, lr}\n"
      "ldr r7, [r0, #20]\n"
      "ldm r0, {r1-r5}\n"
      "ldrd r0, r6, [r0, #24]\n"
      "mov r8, #128\n"
      "1:\n"
      "ldrd r9, r10, [r1]\n"
      MOTE_WEIGH_ONE("r9", "r4", "2", "12")
      MOTE_WEIGH_ONE("r10", "r5", "3", "13")
      "ldr lr, [sp]\n"
      "ldrh r12, [r2], #2\n"
      "ldr r11, [lr, #32]\n"
      "strd r9, r10, [r1], #8\n"
      "add r0, r0, r9, lsr #6\n"
      "add r6, r6, r10, lsr #6\n"
      "cmp r12, r11\n"
      "bhs 4f\n"
      "14:\n"
      "cmp r1, r3\n"
      "bne 1b\n"
      "mov r8, #0\n"
      "5:\n"
      "pop {r12}\n"
      "strd r1, r2, [r12]\n"
      "strd r0, r6, [r12, #24]\n"
      "mov r0, r8\n"
      "pop {r4-r11, pc}\n"
      "2:\n"
      "mov r9, #0\n"
      "b 12b\n"
      "3:\n"
      "mov r10, #0\n"
      "b 13b\n"
      // A product has at most 12 bits more than the weight.
      "4:\n"
      "lsrs r11, r12, #11\n"
      "beq 5b\n"
      "ldr r12, [lr, #36]\n"
      "subs r12, r12, r11\n"
      "bmi 5b\n"
      "lsrs r12, r9, r12\n"
      "bne 5b\n"
      "ldr r12, [lr, #40]\n"
      "subs r12, r12, r11\n"
      "bmi 5b\n"
      "lsrs r12, r10, r12\n"
      "bne 5b\n"
      "b 14b\n");
}

/// Ends behind the last position with 0, or with 1 behind one that is not usual, for which nothing
/// is made.
[[gnu::naked]] std::uint32_t scale_two(ScaleTwo*) {
  asm("push {r0, r4-r11, lr}\n"
      "ldm r0, {r1-r9}\n"
      "1:\n"
      "ldrh r12, [r2], #2\n"
      "ldrd r10, r11, [r1], #8\n"
      "sub lr, r5, r12, lsr #11\n"
      "lsl r12, r12, #20\n"
      "orr r12, r12, #0x80000000\n"
      "cmp lr, r5\n"
      "bhs 3f\n"
      "umull r0, r10, r10, r12\n"
      "umull r12, r11, r11, r12\n"
      "add r0, lr, r6\n"
      "add lr, lr, r7\n"
      "lsrs r10, r10, r0\n"
      "adc r10, r10, #0\n"
      "lsrs r11, r11, lr\n"
      "adc r11, r11, #0\n"
      "add r8, r8, r10\n"
      "add r9, r9, r11\n"
      "lsl r10, r10, #8\n"
      "lsl r11, r11, #8\n"
      "strd r10, r11, [r3], #8\n"
      "cmp r1, r4\n"
      "bne 1b\n"
      "mov r0, #0\n"
      "2:\n"
      "pop {r12}\n"
      "stm r12, {r1-r3}\n"
      "strd r8, r9, [r12, #28]\n"
      "pop {r4-r11, pc}\n"
      "3:\n"
      "mov r0, #1\n"
      "b 2b\n");
}

// clang-format on

/// Eight lanes, widened and raised.
void extend_raised(std::uint32_t (&out)[kLanes / 2], const std::int8_t* lanes, int raise) {
  armv7em::extend(out, lanes, kLanes);
  for (; raise != 0; --raise) {
    for (std::uint32_t& pair : out) asm("sadd16 %0, %0, %0" : "+r"(pair));
  }
}

/// Scores of both heads at one position that is not usual, from dot products in their place.
void score_unusual(ScoreTwo& s, Multiplier (&factors)[2], int raise) {
  for (int h = 0; h < 2; ++h) {
    std::uint32_t& place = *(s.scores - 2 + h);
    const std::int32_t score =
        score_of(static_cast<std::int32_t>(place) >> raise, *(s.scales - 1), factors[h]);
    place = static_cast<std::uint32_t>(score);
    if (score > s.best[h]) {
      s.best[h] = score;
      s.after[h] = s.scores;
    }
  }
}

/// Two heads on their way.
struct Pair {
  HeadAttention (&heads)[2];
  std::uint32_t* scratch;  // (positions, 2)
  std::size_t head_size;
  Multiplier factors[2];
  Largest largest[2];

  const KvSegment& stored() const { return heads[0].stored; }
  std::uint32_t* end() const { return scratch + std::size_t{2} * stored().count; }
};

template <std::size_t kPieces>
bool score(Pair& pair) {
  constexpr int kRaise = pair_raise(kPieces * kLanes);
  Scoring<kPieces> scoring;
  ScoreTwo& s = scoring.rest;
  PairShift shift;
  if (!align_pair(shift, pair.factors, kRaise)) return false;
  s.base = shift.base;
  std::copy_n(shift.factors, 2, s.factors);
  for (std::size_t i = 0; i < kPieces; ++i) {
    for (int h = 0; h < 2; ++h) {
      extend_raised(scoring.queries[i][h], pair.heads[h].query.values + i * kLanes, kRaise);
    }
  }
  const KvSegment& stored = pair.stored();
  s.scores = pair.scratch;
  s.end = pair.end();
  s.keys = stored.keys;
  s.scales = stored.key_scales;
  for (int h = 0; h < 2; ++h) {
    s.best[h] = std::numeric_limits<std::int32_t>::min();
    s.after[h] = nullptr;
  }
  while (s.scores != s.end) {
    if (score_two(&scoring) != 0) score_unusual(s, pair.factors, kRaise);
  }
  for (int h = 0; h < 2; ++h) {
    pair.largest[h].score = s.best[h];
    if (s.after[h] == nullptr) continue;
    pair.largest[h].value_scale = stored.value_scales[(s.after[h] - pair.scratch) / 2 - 1];
  }
  return true;
}

bool score_any(Pair& pair) {
  switch (pair.head_size) {
    case kLanes:
      return score<1>(pair);
    case 2 * kLanes:
      return score<2>(pair);
    case 4 * kLanes:
      return score<4>(pair);
    default:
      return false;
  }
}

/// Replaces scores by weights and adds to `totals` what they say.
void weigh(Pair& pair, WeightTotals (&totals)[2]) {
  const Scale16* const scales = pair.stored().value_scales;
  WeighTwo w = {
      pair.scratch,        scales, nullptr, {pair.largest[0].score, pair.largest[1].score},
      kPowersOfTwo.data(), {},     0,       {}};
  while (w.scores != pair.end()) {
    const auto left = static_cast<std::size_t>(pair.end() - w.scores);
    w.end = w.scores + std::min(left, 2 * kWeightsPerFold);
    w.sums[0] = w.sums[1] = 0;
    while (w.scores != w.end) {
      w.limit = std::min(totals[0].limit(), totals[1].limit());
      for (int h = 0; h < 2; ++h) w.widths[h] = totals[h].width() - 11 + kWeightRaise;
      if (weigh_two(&w) == 0) break;
      for (int h = 0; h < 2; ++h) {
        totals[h].widen(*(w.scores - 2 + h) >> kWeightRaise, *(w.scales - 1));
      }
    }
    for (int h = 0; h < 2; ++h) totals[h].sum += w.sums[h];
  }
}

/// Makes contributions of weights up to s.end.
void scale(Contributions& made, ScaleTwo& s, const int (&widths)[2]) {
  s.out = made.pairs[0];
  s.sums[0] = s.sums[1] = 0;
  while (s.weights != s.end) {
    if (scale_two(&s) == 0) return;
    for (int h = 0; h < 2; ++h) {
      const auto scaled = static_cast<std::uint32_t>(
          contribution(*(s.weights - 2 + h) >> kWeightRaise, *(s.scales - 1), widths[h]));
      *s.out++ = scaled << armv7em::kContributionRaise;
      s.sums[h] += scaled;
    }
  }
}

/// Adds all values, times their contributions, to the outputs.
void add(Pair& pair, const int (&widths)[2]) {
  const int width = std::min(widths[0], widths[1]);
  const KvSegment& stored = pair.stored();
  ScaleTwo s = {pair.scratch,
                stored.value_scales,
                nullptr,
                nullptr,
                armv7em::usual_base(width - kContributionBits - kWeightRaise),
                {static_cast<std::uint32_t>(widths[0] - width + 1),
                 static_cast<std::uint32_t>(widths[1] - width + 1)},
                {}};
  Contributions made;
  const std::int8_t* values = stored.values;
  for (std::uint32_t left = stored.count; left != 0;) {
    const std::uint32_t count = std::min(left, kPositionsPerPart);
    s.end = s.weights + std::size_t{2} * count;
    scale(made, s, widths);
    for (int h = 0; h < 2; ++h) {
      armv7em::add_values(pair.heads[h].out.values.data(), values, &made.pairs[0][h], count,
                          s.sums[h], pair.head_size);
    }
    values += count * pair.head_size;
    left -= count;
  }
}

}  // namespace

bool attend_pair(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                 Multiplier score_scale) {
  const KvSegment& stored = heads[0].stored;
  if (heads[1].stored.keys != stored.keys || scratch.size() < std::size_t{2} * stored.count) {
    return false;
  }
  Pair pair = {
      heads,
      scratch.data(),
      heads[0].out.values.size(),
      {score_factor(heads[0].query, score_scale), score_factor(heads[1].query, score_scale)},
      {}};
  if (!score_any(pair)) return false;
  WeightTotals totals[2] = {WeightTotals(pair.largest[0].value_scale),
                            WeightTotals(pair.largest[1].value_scale)};
  weigh(pair, totals);
  for (HeadAttention& head : heads) clear_lanes(head.out.values.data(), pair.head_size);
  const int widths[2] = {totals[0].width(), totals[1].width()};
  add(pair, widths);
  for (int h = 0; h < 2; ++h) heads[h].out.unit = output_unit(totals[h]);
  return true;
}

}  // namespace mote
