// SPDX-License-Identifier: Apache-2.0
// Matrix times vector for Cortex-M with the DSP extension (M4, M7, M33): two rows a pass, SMLAD.
//
// The vector's lanes are widened to pairs of int16 once for many rows, in the order in which the
// weights' come out of SXTB16 (int8), lie in a word (int8_pairs) or come out of a mask (int4).
// Sixteen lanes of two rows then take 36 instructions, of int8_pairs 28: two loads of lanes and,
// for each row, one load of four words of weights, eight or four that take them apart and eight
// SMLAD. Eight lanes of int4 take 19. docs/BENCHMARKS.md has counts.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "kernels/matvec_armv7em_loops.hpp"
#include "kernels/matvec_armv7em_rows.hpp"
#include "kernels/matvec_armv7em_widen.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

/// Rows whose sums are kept while a long vector is widened part by part.
constexpr std::uint32_t kRowsPerGroup = 64;

/// Words of widened lanes: one for each two lanes of a block, and two more.
constexpr std::uint32_t kWords = 192;
static_assert(kWords >= kMaxBlock / 2 + 2);

struct Product {
  std::int32_t* out;
  const MatrixView& m;
  const ActivationView& x;
  int unit;             // exponent of a sum, before the scale of its row
  std::uint32_t chunk;  // lanes that are widened at once, with a scale: a block, or half of one
  std::uint32_t parts;  // chunks that are widened at a time

  std::uint32_t chunks() const { return m.columns / chunk; }
};

/// What widen_chunks wants to know of a format.
std::uint32_t flip_of(const Product& p) {
  return p.m.format == WeightFormat::int8_pairs ? 0xff00ff00U : 0;
}

/// Lanes `lane` to `end` - 1 of the vector in chunks of so many; twice their scales, and one more
/// behind the last. Returns the sum of magnitudes times scales.
std::uint64_t widen_int8(std::uint32_t* out, const Product& p, std::uint32_t lane,
                         std::uint32_t end, std::uint32_t chunk) {
  widen_chunks(out, p.x.values + lane, chunk, flip_of(p), p.x.values + end);
  std::uint64_t bound = 0;
  --out;
  for (; lane != end; lane += chunk) {
    out += chunk / 2 + 2;
    const std::uint32_t scale = p.x.scales[lane / p.m.block];
    bound += std::uint64_t{*out} * scale;
    *out = scale << 1;
  }
  *out |= 1;
  return bound;
}

/// Chunks first to first + count - 1.
void widen(std::uint32_t* out, const Product& p, std::uint32_t first, std::uint32_t count) {
  if (p.m.format != WeightFormat::int4) {
    widen_int8(out, p, first * p.chunk, (first + count) * p.chunk, p.chunk);
    return;
  }
  for (std::uint32_t b = first; b < first + count; ++b) {
    out = widen_int4(out, p.x.values + b * p.chunk, p.chunk);
    *out++ = p.x.scales[b] << 1;
  }
  out[-1] |= 1;
}

/// What round_all works on, as the assembly knows it.
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
[[gnu::naked]] bool round_all(const Rounding*) {
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

/// The pieces that multiply rows of a format.
struct Pieces {
  Piece* of_8;
  Piece* of_16;
  Piece* of_32;
  Piece* rows_of_64;
  Piece* rows_of_64_by_8;

  Piece* of(std::uint32_t chunk) const { return chunk == 8 ? of_8 : chunk == 16 ? of_16 : of_32; }
};
constexpr Pieces kInt8Pieces = {int8_8, int8_16, int8_32, int8_rows_of_64, int8_rows_of_64_by_8};
constexpr Pieces kPairsPieces = {pairs_8, pairs_16, pairs_32, pairs_rows_of_64,
                                 pairs_rows_of_64_by_8};

const Pieces& pieces_of(const Product& p) {
  return p.m.format == WeightFormat::int8 ? kInt8Pieces : kPairsPieces;
}

/// Adds widened chunks first to first + count - 1 of rows of int8 or int8_pairs to their sums.
///   sums (rows), rows even; stride from the first row to the second
void add_chunks(std::int64_t* sums, const Product& p, const std::uint8_t* weights,
                std::uint32_t rows, std::uint32_t count, std::uint32_t stride,
                const std::uint32_t* widened) {
  if (rows == 0) return;
  Rows work;
  work.sums[0] = sums[0];
  work.sums[1] = sums[1];
  work.end = sums + rows;
  work.widened = widened;
  work.start = pieces_of(p).of(p.chunk);
  work.then = work.finish = keep_sums;
  work.row_bytes = p.m.row_bytes();
  work.step = 2 * work.row_bytes - count * p.chunk;
  work.kept = sums;
  work.row = weights;
  work.stride = stride;
  multiply(&work);
}

/// The same for blocks of int4.
void add_blocks(std::int64_t* sums, const Product& p, std::uint32_t row, std::uint32_t rows,
                std::uint32_t first, std::uint32_t count, const std::uint32_t* widened) {
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint32_t blocks = p.m.blocks();
  const std::uint32_t block_bytes = p.m.block / 2;
  const std::uint8_t* weights =
      p.m.weights + std::size_t{row} * row_bytes + std::size_t{first} * block_bytes;
  const std::uint32_t pairs = rows / 2 * 2;
  Pass pass = {sums,
               sums + pairs,
               widened,
               2 * row_bytes - count * block_bytes,
               p.m.block_factors + std::size_t{row} * blocks + first,
               blocks,
               2 * blocks - count};
  if (pairs != 0) multiply_int4(p.m.block, &pass, weights, weights + row_bytes);
  if (pairs == rows) return;
  // The last of an odd number of rows is multiplied twice, and counts once.
  weights += std::size_t{pairs} * row_bytes;
  pass.sums = sums + pairs;
  pass.sums_end = pass.sums + 2;
  pass.factors += std::size_t{pairs} * blocks;
  pass.factors_of_row = 0;
  multiply_int4(p.m.block, &pass, weights, weights);
}

/// Adds chunks first to first + count - 1 of `rows` rows, the widened ones, to their sums.
///   sums (rows, made even)
void multiply_part(std::int64_t* sums, const Product& p, std::uint32_t row, std::uint32_t rows,
                   std::uint32_t first, std::uint32_t count, const std::uint32_t* widened) {
  if (p.m.format == WeightFormat::int4) {
    return add_blocks(sums, p, row, rows, first, count, widened);
  }
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint8_t* weights = p.m.weights + std::size_t{row} * row_bytes + first * p.chunk;
  const std::uint32_t pairs = rows / 2 * 2;
  add_chunks(sums, p, weights, pairs, count, row_bytes, widened);
  // The last of an odd number of rows is multiplied twice, and counts once.
  weights += std::size_t{pairs} * row_bytes;
  add_chunks(sums + pairs, p, weights, rows % 2 * 2, count, 0, widened);
}

[[gnu::noinline]] void multiply_group(const Product& p, std::uint32_t row, std::uint32_t rows,
                                      std::uint32_t* widened) {
  std::int64_t sums[kRowsPerGroup];
  for (std::uint32_t r = 0; r < rows; r += 2) {
    sums[r] = sums[r + 1] = 0;
    // Not a call of memset, which small libraries have for single bytes.
    asm("" ::: "memory");
  }
  const std::uint32_t chunks = p.chunks();
  for (std::uint32_t c = 0; c < chunks; c += p.parts) {
    const std::uint32_t count = std::min(p.parts, chunks - c);
    // One part stays for all groups.
    if (row == 0 || count != chunks) widen(widened, p, c, count);
    multiply_part(sums, p, row, rows, c, count, widened);
  }
  const Scale16* const scales = p.m.row_scales + row;
  std::int32_t* const out = p.out + row;
  const Rounding rounding = {out, sums, scales, p.x.factor.mantissa, -p.unit - 32, out + rows};
  if (round_all(&rounding)) return;
  for (std::uint32_t r = 0; r < rows; ++r) {
    out[r] = multiply_shift(sums[r], scales[r].mantissa() * p.x.factor.mantissa,
                            -(p.unit + scales[r].exponent()));
  }
}

/// The same number in both halves.
std::uint32_t twice(int number) {
  return static_cast<std::uint32_t>(number) * 0x10001U;
}

/// Two rows, whose sums stand in `rows`.
void round_two(const Rows& rows, int unit) {
  for (int r = 0; r < 2; ++r) {
    const Scale16 scale = rows.scales[r - 2];
    rows.out[r] =
        multiply_shift(rows.sums[r], scale.mantissa() * rows.factor, -(unit + scale.exponent()));
  }
}

void multiply_two_by_two(Rows& rows, int unit) {
  while (multiply(&rows)) {
    round_two(rows, unit);
    if (rows.scales == rows.end) return;
    rows.out += 2;
    rows.row -= rows.row_bytes;
    rows.sums[0] = rows.sums[1] = rows.begin;
  }
}

/// The shift of a row whose scale's stored exponent is 0, of the usual ones less 32. (A stored
/// exponent is one more than the exponent, but for 0.)
int shift_of_zero(int unit) {
  return -unit - 31;
}

/// Sets the least usual shift, which the highest usual scale has.
void set_least(Rows& rows, const Product& p, int exponent, int usual) {
  rows.highest = twice(exponent << 11 | 0x7ff);
  rows.range = twice((usual - 1) << 11 | 0x7ff);
  rows.factor = p.x.factor.mantissa;
  rows.top = p.x.factor.mantissa * 4095;
}

/// Says which scales are usual: those of some exponents whose shifts go up from the least that
/// makes every result fit. False where there is none.
///   bits  of a sum, without its sign
bool set_rounding(Rows& rows, const Product& p, int bits) {
  const int shift = shift_of_zero(p.unit);
  // Those of a sum, of factor and of the mantissa of a scale; a result must have 30 at most.
  const int product_bits = bits + significant_bits(p.x.factor.mantissa - 1) + 12;
  const int least = std::max({product_bits - 62, 1, shift - 31});
  const int usual = std::min(33 - least, shift - least);
  if (usual <= 0) return false;
  set_least(rows, p, shift - least, usual);
  rows.unit = 1U << (32 - least);
  return true;
}

/// Makes an even number of rows of 64 lanes in chunks of 8 go a way of their own.
void set_eights(Rows& rows, const Product& p, std::uint32_t* widened) {
  if (p.m.columns != 64 || p.chunk != 8 || p.m.rows % 2 != 0) return;
  for (std::uint32_t b = 0; b < 8; ++b) {
    std::uint32_t* const chunk = widened + 6 * b;
    chunk[5] >>= 1;
    rows.begin += std::int64_t{static_cast<std::int32_t>(chunk[4])} * chunk[5];
  }
  rows.start = pieces_of(p).rows_of_64_by_8;
}

/// Whether rows end with 16 lanes of 32 that are zero in the vector, as what pads them is.
bool has_empty_end(const Product& p) {
  const std::int8_t* const end = p.x.values + p.m.columns;
  return p.chunk == 32 && p.m.columns > 64 &&
         (load_lanes(end - 16) | load_lanes(end - 12) | load_lanes(end - 8) |
          load_lanes(end - 4)) == 0;
}

/// Widens the vector. Returns the bits of a row's sum, without its sign.
int widen_whole(Rows& rows, const Product& p, std::uint32_t* widened) {
  std::uint32_t lanes = p.m.columns;
  rows.widened = widened;
  rows.row_bytes = lanes;
  rows.step = lanes;
  rows.begin = 0;
  rows.start = pieces_of(p).of(p.chunk);
  rows.then = rows.finish = round_sums;
  if (has_empty_end(p)) {
    lanes -= 32;
    rows.then = pieces_of(p).of_16;
    rows.step += 16;
  }
  std::uint64_t bound = widen_int8(widened, p, 0, lanes, p.chunk);
  if (lanes != p.m.columns) {
    bound += widen_int8(widened + lanes / 32 * 18, p, lanes, lanes + 16, 16);
  }
  // A weight is at most 128.
  return significant_bits(bound) + 7;
}

/// Rows first to first + count - 1, an even number, or the same row twice.
void multiply_pairs(Rows& rows, const Product& p, std::int32_t* out, const Scale16* scales,
                    std::uint32_t first, std::uint32_t count, int unit) {
  rows.row = p.m.weights + std::size_t{first} * rows.row_bytes;
  rows.scales = scales;
  rows.end = scales + count;
  rows.out = out;
  rows.sums[0] = rows.sums[1] = rows.begin;
  if (count != 0) multiply_two_by_two(rows, unit);
}

/// All rows.
///   unit  exponent of a sum, before the scale of its row
void multiply_all(Rows& rows, const Product& p, int unit) {
  const std::uint32_t pairs = p.m.rows / 2 * 2;
  rows.stride = rows.row_bytes;
  multiply_pairs(rows, p, p.out, p.m.row_scales, 0, pairs, unit);
  if (pairs == p.m.rows) return;
  // The last of an odd number of rows is multiplied twice, and counts once.
  const Scale16 scales[2] = {p.m.row_scales[pairs], p.m.row_scales[pairs]};
  std::int32_t out[2];
  rows.stride = 0;
  multiply_pairs(rows, p, out, scales, pairs, 2, unit);
  p.out[pairs] = out[0];
}

/// Rows of int8 or int8_pairs whose vector is widened at once. False where shifts cannot be usual.
bool multiply_rows(const Product& p, std::uint32_t* widened) {
  Rows rows;
  const int bits = widen_whole(rows, p, widened);
  if (!set_rounding(rows, p, bits)) return false;
  set_eights(rows, p, widened);
  multiply_all(rows, p, p.unit);
  return true;
}

/// Rows of 64 lanes in chunks of 32. False where 32 bits without the lowest ones of all scales,
/// which are zero, need not hold every sum, or where such sums could not be rounded.
bool multiply_narrow(const Product& p, std::uint32_t* widened) {
  const std::uint32_t first = p.x.scales[0];
  const std::uint32_t second = p.x.scales[64 / p.m.block - 1];
  widen_chunks(widened, p.x.values, 32, flip_of(p), p.x.values + 64);
  const std::uint64_t bound =
      std::uint64_t{widened[17]} * first + std::uint64_t{widened[35]} * second;
  // A weight is at most 128.
  const int lift = std::max(significant_bits(bound) + 7 - 31, 0);
  const int shift = shift_of_zero(p.unit + lift);
  if (((first | second) & ((1U << lift) - 1)) != 0 || shift < 17) return false;
  widened[17] = first >> lift;
  widened[35] = second >> lift;
  const int highest = std::min(31, shift - 1);
  Rows rows;
  // 16 exponents are usual. A shift of 32 and more leaves nothing.
  set_least(rows, p, highest, 16);
  rows.unit = static_cast<std::uint32_t>(std::min(shift - highest, 32));
  rows.widened = widened;
  rows.row_bytes = 64;
  rows.begin = 0;
  rows.start = pieces_of(p).rows_of_64;
  multiply_all(rows, p, p.unit + lift);
  return true;
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  // Images have whole words in rows of such blocks.
  if (matrix.block < 8 || reinterpret_cast<std::uintptr_t>(matrix.weights) % 4 != 0) {
    return ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  }
  const bool is_int4 = matrix.format == WeightFormat::int4;
  const std::uint32_t chunk = is_int4 ? matrix.block : std::min<std::uint32_t>(matrix.block, 32);
  const Product p = {out,   matrix,
                     x,     x.factor.exponent + matrix.exponent + fraction_bits,
                     chunk, kWords / (chunk / 2 + 2)};
  std::uint32_t widened[kWords];
  if (!is_int4 && matrix.columns == 64 && chunk == 32 && multiply_narrow(p, widened)) return;
  if (!is_int4 && p.chunks() <= p.parts && multiply_rows(p, widened)) return;
  for (std::uint32_t r = 0; r < matrix.rows; r += kRowsPerGroup) {
    multiply_group(p, r, std::min(kRowsPerGroup, matrix.rows - r), widened);
  }
}

}  // namespace mote
