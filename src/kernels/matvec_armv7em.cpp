// SPDX-License-Identifier: Apache-2.0
// Matrix times vector for Cortex-M with the DSP extension (M4, M7, M33): two rows a pass, SMLAD.
//
// The vector's lanes are widened to pairs of int16 once for many rows, in the order in which the
// bytes of the weights come out of SXTB16 (int8) or of a mask (int4). Eight lanes of two rows then
// take 19 instructions: one load of lanes and, for each row, one load of weights, four that take
// them apart and four SMLAD; int4 loads half as much twice as often. docs/BENCHMARKS.md has counts.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "kernels/matvec_armv7em_loops.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

/// Rows whose sums are kept while a long vector is widened part by part.
constexpr std::uint32_t kRowsPerGroup = 32;

/// Words of widened lanes: one for each two lanes of a block, and two more.
constexpr std::uint32_t kWords = 192;
static_assert(kWords >= kMaxBlock / 2 + 2);

/// Four lanes; they may lie anywhere.
std::uint32_t load_lanes(const std::int8_t* lanes) {
  std::uint32_t word;
  std::memcpy(&word, lanes, sizeof word);
  return word;
}

/// Lanes 0 and 2 as int16.
std::uint32_t even_lanes(std::uint32_t word) {
  std::uint32_t pair;
  asm("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}

/// Lanes 1 and 3 as int16.
std::uint32_t odd_lanes(std::uint32_t word) {
  std::uint32_t pair;
  asm("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

/// sum less 8 times both lanes of a pair.
std::int32_t subtract_lanes(std::int32_t sum, std::uint32_t pair) {
  asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(0xfff8fff8U));
  return sum;
}

// clang-format off

/// Widens a block and returns where the next one goes. // block a multiple of 8
[[gnu::naked]] std::uint32_t* widen_int8(std::uint32_t*, const std::int8_t*, std::uint32_t) {
  asm("push {r4-r7, lr}\n"
      "1:\n"
      "ldr r4, [r1], #4\n"
      "ldr r6, [r1], #4\n"
      "sxtb16 r5, r4, ror #8\n"
      "sxtb16 r4, r4\n"
      "sxtb16 r7, r6, ror #8\n"
      "sxtb16 r6, r6\n"
      "subs r2, r2, #8\n"
      "stmia r0!, {r4-r7}\n"
      "bne 1b\n"
      "pop {r4-r7, pc}\n");
}

// clang-format on

std::uint32_t* widen_int4(std::uint32_t* out, const std::int8_t* lanes, std::uint32_t block) {
  std::uint32_t* const first = out++;
  std::int32_t sum = 0;
  const std::uint32_t half = block / 2;
  const std::int8_t* const end = lanes + half;
  do {
    const std::uint32_t low = load_lanes(lanes);
    const std::uint32_t high = load_lanes(lanes + half);
    out[0] = even_lanes(low);
    out[1] = even_lanes(high);
    out[2] = odd_lanes(low);
    out[3] = odd_lanes(high);
    for (int i = 0; i < 4; ++i) sum = subtract_lanes(sum, out[i]);
    out += 4;
    lanes += 4;
  } while (lanes != end);
  *first = static_cast<std::uint32_t>(sum);
  return out;
}

/// Blocks first to first + count - 1 of `x`.
void widen(std::uint32_t* out, const MatrixView& m, const ActivationView& x, std::uint32_t first,
           std::uint32_t count) {
  const std::int8_t* lanes = x.values + std::size_t{first} * m.block;
  for (std::uint32_t b = 0; b < count; ++b) {
    out = m.format == WeightFormat::int4 ? widen_int4(out, lanes, m.block)
                                         : widen_int8(out, lanes, m.block);
    *out++ = x.scales[first + b] << 1;
    lanes += m.block;
  }
  out[-1] |= 1;
}

/// What round_sums works on, as the assembly knows it.
struct Rounding {
  std::int32_t* out;         // (rows), at least one
  const std::int64_t* sums;  // (rows)
  const Scale16* scales;     // (rows)
  std::uint32_t factor;      // mantissa that all rows share
  std::int32_t shift;        // of a row whose scale's exponent is 0, less 32
  const std::int32_t* out_end;
};

// clang-format off

/// multiply_shift for rows with shifts of 33 to 63 whose results fit. Returns whether all were.
[[gnu::naked]] bool round_sums(const Rounding*) {
  // r11 is the shift less 32, r12:r7 the product without its lowest 32 bits. The last bit that is
  // shifted out is the half that rounds up.
  asm("push {r4-r11, lr}\n"
      "ldm r0, {r0-r5}\n"
      "mov r6, #1\n"
      "1:\n"
      "ldrh r9, [r2], #2\n"
      "ldrd r7, r8, [r1], #8\n"
      "lsrs r11, r9, #11\n"
      "ubfx r10, r9, #0, #11\n"
      "itt ne\n"
      "orrne r10, r10, #0x800\n"
      "subne r11, r11, #1\n"
      "mul r10, r10, r3\n"
      "sub r11, r4, r11\n"
      "umull r9, r7, r7, r10\n"
      "mov r12, #0\n"
      "umaal r7, r12, r8, r10\n"
      "asr r8, r8, #31\n"
      "mla r12, r8, r10, r12\n"
      "sub r9, r11, #1\n"
      "cmp r9, #30\n"
      "bhi 2f\n"
      "lsrs r7, r7, r11\n"
      "rsb r9, r11, #32\n"
      "lsl r9, r12, r9\n"
      "orr r7, r7, r9\n"
      "asr r12, r12, r11\n"
      "adcs r7, r7, #0\n"
      "adc r12, r12, #0\n"
      "cmp r12, r7, asr #31\n"
      "bne 2f\n"
      "3:\n"
      "str r7, [r0], #4\n"
      "cmp r0, r5\n"
      "bne 1b\n"
      "mov r0, r6\n"
      "pop {r4-r11, pc}\n"
      "2:\n"
      "mov r6, #0\n"
      "b 3b\n");
}

// clang-format on

struct Product {
  std::int32_t* out;
  const MatrixView& m;
  const ActivationView& x;
  int unit;             // exponent of a sum, before the scale of its row
  std::uint32_t parts;  // blocks that are widened at a time
};

/// Adds blocks first to first + count - 1 of `rows` rows, the widened ones, to their sums.
///   sums (rows, made even)
void multiply_part(std::int64_t* sums, const Product& p, std::uint32_t row, std::uint32_t rows,
                   std::uint32_t first, std::uint32_t count, const std::uint32_t* widened) {
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint32_t blocks = p.m.blocks();
  const std::uint32_t block_bytes = row_bytes / blocks;
  const std::uint8_t* weights =
      p.m.weights + std::size_t{row} * row_bytes + std::size_t{first} * block_bytes;
  const std::uint32_t pairs = rows / 2 * 2;
  Pass pass = {sums,    sums + pairs, widened,           2 * row_bytes - count * block_bytes,
               nullptr, blocks,       2 * blocks - count};
  if (p.m.format == WeightFormat::int4) {
    pass.factors = p.m.block_factors + std::size_t{row} * blocks + first;
  }
  if (pairs != 0) multiply(p.m.format, p.m.block, &pass, weights, weights + row_bytes);
  if (pairs == rows) return;
  // The last of an odd number of rows is multiplied twice, and counts once.
  weights += std::size_t{pairs} * row_bytes;
  pass.sums = sums + pairs;
  pass.sums_end = pass.sums + 2;
  if (pass.factors != nullptr) pass.factors += std::size_t{pairs} * blocks;
  pass.factors_of_row = 0;
  multiply(p.m.format, p.m.block, &pass, weights, weights);
}

void multiply_group(const Product& p, std::uint32_t row, std::uint32_t rows,
                    std::uint32_t* widened) {
  std::int64_t sums[kRowsPerGroup];
  for (std::uint32_t r = 0; r < rows; r += 2) {
    sums[r] = sums[r + 1] = 0;
    // Not a call of memset, which small libraries have for single bytes.
    asm("" ::: "memory");
  }
  const std::uint32_t blocks = p.m.blocks();
  for (std::uint32_t b = 0; b < blocks; b += p.parts) {
    const std::uint32_t count = std::min(p.parts, blocks - b);
    // One part stays for all groups.
    if (row == 0 || count != blocks) widen(widened, p.m, p.x, b, count);
    multiply_part(sums, p, row, rows, b, count, widened);
  }
  const Scale16* const scales = p.m.row_scales + row;
  std::int32_t* const out = p.out + row;
  const Rounding rounding = {out, sums, scales, p.x.factor.mantissa, -p.unit - 32, out + rows};
  if (round_sums(&rounding)) return;
  for (std::uint32_t r = 0; r < rows; ++r) {
    out[r] = multiply_shift(sums[r], scales[r].mantissa() * p.x.factor.mantissa,
                            -(p.unit + scales[r].exponent()));
  }
}

/// The same number in both halves.
std::uint32_t twice(int number) {
  return static_cast<std::uint32_t>(number) * 0x10001U;
}

/// Bits of a sum of `blocks` blocks, without its sign.
int sum_bits(const ActivationView& x, std::uint32_t block, std::uint32_t blocks) {
  std::uint64_t scales = 0;
  for (std::uint32_t b = 0; b < blocks; ++b) scales += x.scales[b];
  return significant_bits(scales * block) + 14;
}

/// Two rows, whose sums stand in `rows`.
void round_two(const WholeRows& rows, std::int32_t* out, int unit) {
  for (int r = 0; r < 2; ++r) {
    const Scale16 scale = rows.scales[r - 2];
    out[r] =
        multiply_shift(rows.sums[r], scale.mantissa() * rows.factor, -(unit + scale.exponent()));
  }
}

void multiply_two_by_two(WholeRows& rows, std::uint32_t block, int unit) {
  for (;;) {
    multiply_whole(block, &rows);
    if (rows.out == rows.out_end) return;
    round_two(rows, rows.out, unit);
    rows.out += 2;
    if (rows.out == rows.out_end) return;
  }
}

/// Rows of int8 from widened lanes, where shifts can be usual. Returns whether they can.
bool multiply_rows(const Product& p, const std::uint32_t* widened) {
  // A stored exponent is one more than the exponent, but for 0.
  const int shift = -p.unit - 31;
  const int most = std::min<int>(31, shift - 1);
  if (shift > 62) return false;
  // Those of a sum, of factor and of the mantissa of a scale; a result must have 30 at most.
  const int bits =
      sum_bits(p.x, p.m.block, p.m.blocks()) + significant_bits(p.x.factor.mantissa - 1) + 12;
  const int safe = std::max<int>(bits - 62, 1);
  if (safe > most) return false;
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint32_t pairs = p.m.rows / 2 * 2;
  WholeRows rows = {
      p.m.weights,  row_bytes,          widened,     p.m.row_scales,      p.out, p.out + pairs,
      twice(shift), twice(most - safe), twice(safe), p.x.factor.mantissa, {}};
  if (pairs != 0) multiply_two_by_two(rows, p.m.block, p.unit);
  if (pairs == p.m.rows) return true;
  // The last of an odd number of rows is multiplied twice, and counts once.
  const Scale16 scales[2] = {p.m.row_scales[pairs], p.m.row_scales[pairs]};
  std::int32_t out[2];
  rows.rows = p.m.weights + std::size_t{pairs} * row_bytes;
  rows.scales = scales;
  rows.out = out;
  rows.out_end = out + 2;
  multiply_two_by_two(rows, p.m.block, p.unit);
  p.out[pairs] = out[0];
  return true;
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  if (matrix.format == WeightFormat::int8_pairs) {
    return ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  }
  // Images have whole words in rows of such blocks.
  if (matrix.block < 8 || reinterpret_cast<std::uintptr_t>(matrix.weights) % 4 != 0) {
    return ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  }
  const Product p = {out, matrix, x, x.factor.exponent + matrix.exponent + fraction_bits,
                     kWords / (matrix.block / 2 + 2)};
  std::uint32_t widened[kWords];
  if (matrix.format == WeightFormat::int8 && matrix.blocks() <= p.parts) {
    widen(widened, matrix, x, 0, matrix.blocks());
    if (multiply_rows(p, widened)) return;
  }
  for (std::uint32_t r = 0; r < matrix.rows; r += kRowsPerGroup) {
    multiply_group(p, r, std::min(kRowsPerGroup, matrix.rows - r), widened);
  }
}

}  // namespace mote
