// SPDX-License-Identifier: Apache-2.0
// The product for RV32IM: no vectors, but a multiplier of 32 bits that has room for two products of
// a weight and a lane at once.
//
// Two weights a + b * 2^16 times two lanes y + x * 2^16 is, modulo 2^32, a * y + (a * x + b * y') *
// 2^16 with y' = y: so the lanes stand the other way round, and the upper half of the product is a
// piece of the dot product. What is in the lower half must not reach the upper one.
//
// int8: a weight becomes w + 128 where its lane is not negative, else 127 - w, both by one
// exclusive or of four weights, and the lane its magnitude. Then all is unsigned: the lower half is
// at most 255 * 128, the upper one at most 2 * 255 * 128, both below 2^16. What was added to the
// weights is 128 or 127 times the magnitudes, the same for all rows, so that their sums begin with
// its opposite. Odd lanes need no shift: a product of 2^8 times the weights and 2^8 times the lanes
// has its upper half in the lower half of the upper word.
//
// int4: weights are stored plus 8, and are below 16, so that 32 products fit 16 bits with a sign:
// 8 * 127 * 32 < 2^15. Eight times the lanes are taken off first, and half a unit of the upper half
// is added, since the lower half, at most 15 * 127 * 16 < 2^15, has a sign too. Lanes of -128,
// which no quantiser makes, go to the reference.
//
// The sum over blocks of dot * scale is kept in two words: its lower 32 bits, and the sum of the
// products' parts above 2^28, each rounded down. Of 15 runs and the start the latter is off by less
// than 2^32, so that together they are the exact sum.
//
// Where the vector is one part, the loops round what they have summed up; else, and where a row
// scale is out of the usual, the sums come back and are rounded here.
#include "kernels/matvec_rv32.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <type_traits>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "kernels/matvec_rv32_eight.hpp"

namespace mote {
namespace {

using rv32::kRowsPerPass;
using rv32::Part;
using rv32::Pass;
using rv32::RowSum;

/// The shift of the narrow product of a row whose stored exponent is 0, less 1.
constexpr int kNarrowShift = 32;
/// Rows whose sums are kept while the parts of a long vector go by, and those of one call.
constexpr std::uint32_t kRowsPerGroup = 64;
constexpr std::uint32_t kRowsPerCall = 16;

struct Product {
  std::int32_t* out;
  const MatrixView& m;
  const ActivationView& x;
  int unit;            // exponent of a sum, before the scale of its row
  std::uint32_t runs;  // of a block
};

/// Blocks first to first + count - 1 of the vector. False where the runs cannot take them.
template <typename Run>
[[gnu::noinline]] bool prepare_part(Part& part, const Product& p, std::uint32_t first,
                                    std::uint32_t count) {
  const std::uint32_t runs = p.runs;
  const std::int8_t* lanes = p.x.values + std::size_t{first} * p.m.block;
  std::uint32_t* head = part.words;
  bool is_fit = true;
  for (std::uint32_t b = 0; b < count; ++b, lanes += p.m.block) {
    const std::uint32_t scale = p.x.scales[first + b];
    for (std::uint32_t run = 0; run < runs; ++run, head += Run::kWords) {
      is_fit &= Run::prepare(head, part.start, lanes + Run::first_lane(run), scale, runs - 1 - run);
    }
  }
  part.end = head;
  return is_fit;
}

/// Rows from `row` on times a part that begins with block `first`; without `sums` and ends.
template <typename Run>
Pass pass_of(const Product& p, const Part& part, std::uint32_t row, std::uint32_t first) {
  const std::uint32_t row_bytes = p.m.row_bytes();
  const std::uint32_t blocks = Run::kHasFactors ? p.m.blocks() : 0;
  Pass pass = {};
  pass.words = part.words;
  pass.words_end = part.end;
  pass.weights =
      p.m.weights + std::size_t{row} * row_bytes + std::size_t{first} * p.runs * Run::kBytes;
  pass.row_bytes = row_bytes;
  if constexpr (Run::kHasFactors) pass.factors = p.m.block_factors + row * blocks + first;
  pass.factors_of_row = blocks;
  pass.out = p.out + row;
  pass.row_scales = &p.m.row_scales[row].bits;
  pass.start = {static_cast<std::uint32_t>(part.start),
                static_cast<std::int32_t>(part.start >> rv32::kHighBits)};
  return pass;
}

void write_row(const Product& p, std::uint32_t row, std::int64_t sum) {
  const Scale16 scale = p.m.row_scales[row];
  p.out[row] =
      multiply_shift(sum, scale.mantissa() * p.x.factor.mantissa, -(p.unit + scale.exponent()));
}

/// `rows` rows from `row` on, a multiple of those that `kMultiply` takes at a time, of a vector
/// that is one part.
template <typename Run, std::uint32_t kAtOnce, bool kIsNarrow, void (*kMultiply)(Pass&)>
void write_rows(const Product& p, const Part& part, std::uint32_t row, std::uint32_t rows) {
  RowSum sums[kAtOnce];
  Pass pass = pass_of<Run>(p, part, row, 0);
  pass.sums_end = sums + kAtOnce;
  pass.out_end = pass.out + rows;
  pass.mantissa = p.x.factor.mantissa;
  // With the stored exponent e, at least 1, the product is shifted by top + 34 - e bits, where it
  // has 64 bits by one less.
  const int top = -p.unit - (kIsNarrow ? kNarrowShift : kNarrowShift + 1);
  pass.top = static_cast<std::uint32_t>(top);
  pass.usual = static_cast<std::uint32_t>(std::clamp(top, 0, 32));
  while (pass.out != pass.out_end) {
    pass.sums = sums;
    kMultiply(pass);
    if (pass.sums != pass.sums_end) continue;
    const auto first = static_cast<std::uint32_t>(pass.out - p.out) - kAtOnce;
    for (std::uint32_t r = 0; r < kAtOnce; ++r) write_row(p, first + r, sums[r].whole());
  }
}

/// All rows from `row` on, four at least before the end; some of the last ones twice.
template <typename Run, bool kIsNarrow>
void write_all(const Product& p, const Part& part, std::uint32_t row = 0) {
  constexpr auto kMultiply = Run::template multiply<kIsNarrow>;
  const std::uint32_t left = (p.m.rows - row) % kRowsPerPass;
  write_rows<Run, kRowsPerPass, kIsNarrow, kMultiply>(p, part, row, p.m.rows - row - left);
  if (left == 0) return;
  write_rows<Run, kRowsPerPass, kIsNarrow, kMultiply>(p, part, p.m.rows - kRowsPerPass,
                                                      kRowsPerPass);
}

/// The same for sums that 32 bits hold.
template <typename Run>
void write_all_narrow(const Product& p, const Part& part) {
  std::uint32_t row = 0;
  if (std::is_same_v<Run, rv32::Int8<8>> && p.m.row_bytes() == rv32::kEightStride) {
    row = p.m.rows / rv32::kEightRows * rv32::kEightRows;
    write_rows<Run, rv32::kEightRows, true, rv32::multiply_eight_rows>(p, part, 0, row);
  }
  write_all<Run, true>(p, part, row);
}

/// The lowest bits of all scales that must be zero, and are, for 32 bits to hold every sum without
/// them; negative where they are not zero, or where the loop could not round what comes out. A
/// weight is at most 128, and `start` has 127 times the lanes.
int narrowing_lift(const Product& p, const Part& part) {
  const auto bound = static_cast<std::uint64_t>(-part.start);
  const int lift = std::max<int>(significant_bits(bound + bound / 127) - 31, 0);
  std::uint32_t scales = 0;
  for (std::uint32_t b = 0; b < p.m.blocks(); ++b) scales |= p.x.scales[b];
  if (lift > 31 || (scales & ((1U << lift) - 1)) != 0) return -1;
  // The scales of other rows may be some powers of two larger than that of the first.
  constexpr int kSpare = 1;
  const int exponent = p.m.row_scales[0].bits >> 11;
  return exponent + kSpare > -(p.unit + lift) - kNarrowShift ? -1 : lift;
}

template <typename Run>
void lower_scales(Part& part, int lift) {
  part.start >>= lift;
  for (std::uint32_t* head = part.words; head != part.end; head += Run::kWords) head[0] >>= lift;
}

/// Adds a part to the sums of `rows` rows from `row` on, at most kRowsPerCall.
template <typename Run>
void add_part(std::int64_t* sums, const Product& p, const Part& part, std::uint32_t row,
              std::uint32_t rows, std::uint32_t first) {
  const std::uint32_t whole = rows / kRowsPerPass * kRowsPerPass;
  RowSum part_sums[kRowsPerCall + kRowsPerPass];
  Pass pass = pass_of<Run>(p, part, row, first);
  pass.sums = part_sums;
  pass.sums_end = part_sums + whole;
  if (whole != 0) Run::template multiply<false>(pass);
  // A row that is left goes four times at once.
  pass.row_bytes = 0;
  pass.factors_of_row = 0;
  for (std::uint32_t r = whole; r < rows; ++r) {
    pass.sums = part_sums + r;
    pass.sums_end = pass.sums + kRowsPerPass;
    pass.row_scales = &p.m.row_scales[row].bits;
    Run::template multiply<false>(pass);
    pass.weights += p.m.row_bytes();
    if constexpr (Run::kHasFactors) pass.factors += p.m.blocks();
  }
  for (std::uint32_t r = 0; r < rows; ++r) sums[r] += part_sums[r].whole();
}

bool has_zero_scale(const Product& p) {
  const std::uint32_t* scales = p.x.scales;
  return std::find(scales, scales + p.m.blocks(), 0U) != scales + p.m.blocks();
}

/// The block behind a part that begins with block `first`, whose scale is not 0, and ends before
/// the next whose scale is 0: that one adds nothing, and is not read.
std::uint32_t end_of_part(const Product& p, std::uint32_t first, std::uint32_t most) {
  const std::uint32_t* scales = p.x.scales;
  const std::uint32_t* last = scales + std::min(p.m.blocks(), first + most);
  return static_cast<std::uint32_t>(std::find(scales + first, last, 0U) - scales);
}

/// False where nothing but the reference will do.
template <typename Run>
bool matvec(const Product& p) {
  const std::uint32_t most = std::min(rv32::kPartRuns, rv32::kPartWords / Run::kWords) / p.runs;
  const std::uint32_t blocks = p.m.blocks();
  const std::uint32_t rows = p.m.rows;
  Part part;
  if (blocks <= most && rows >= kRowsPerPass && !has_zero_scale(p)) {
    if (!prepare_part<Run>(part, p, 0, blocks)) return false;
    if constexpr (Run::kCanBeNarrow) {
      if (const int lift = narrowing_lift(p, part); lift >= 0) {
        Product narrow = p;
        narrow.unit += lift;
        lower_scales<Run>(part, lift);
        write_all_narrow<Run>(narrow, part);
        return true;
      }
    }
    write_all<Run, false>(p, part);
    return true;
  }
  for (std::uint32_t row = 0; row < rows; row += kRowsPerGroup) {
    const std::uint32_t count = std::min<std::uint32_t>(kRowsPerGroup, rows - row);
    std::int64_t sums[kRowsPerGroup] = {};
    for (std::uint32_t first = 0, end = 0; first < blocks; first = std::max(end, first + 1)) {
      end = end_of_part(p, first, most);
      if (end == first) continue;
      part.start = 0;
      if (!prepare_part<Run>(part, p, first, end - first)) return false;
      for (std::uint32_t r = 0; r < count; r += kRowsPerCall) {
        add_part<Run>(sums + r, p, part, row + r, std::min(kRowsPerCall, count - r), first);
      }
    }
    for (std::uint32_t r = 0; r < count; ++r) write_row(p, row + r, sums[r]);
  }
  return true;
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  if (matrix.format == WeightFormat::int8_pairs) {
    return ref::matvec_pairs_s8_s32(out, matrix, x, fraction_bits);
  }
  const Product p = {out, matrix, x, x.factor.exponent + matrix.exponent + fraction_bits,
                     matrix.block == 64 ? 2U : 1U};
  const auto places =
      reinterpret_cast<std::uintptr_t>(matrix.weights) | reinterpret_cast<std::uintptr_t>(x.values);
  const bool is_int4 = matrix.format == WeightFormat::int4;
  bool is_done = false;
  if (places % 4 == 0) {
    switch (matrix.block) {
      case 8:
        is_done = is_int4 ? matvec<rv32::Int4<1>>(p) : matvec<rv32::Int8<2>>(p);
        break;
      case 16:
        is_done = is_int4 ? matvec<rv32::Int4<2>>(p) : matvec<rv32::Int8<4>>(p);
        break;
      case 32:
        is_done = is_int4 ? matvec<rv32::Int4<4>>(p) : matvec<rv32::Int8<8>>(p);
        break;
      case 64:
        is_done = is_int4 ? matvec<rv32::Int4<4, 32>>(p) : matvec<rv32::Int8<8>>(p);
        break;
      default:
        break;
    }
  }
  if (!is_done) ref::matvec_s8_s32(out, matrix, x, fraction_bits);
}

}  // namespace mote
