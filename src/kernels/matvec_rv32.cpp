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
// weights is 128 or 127 times the magnitudes, the same for all rows. Odd lanes need no shift: a
// product of 2^8 times the weights and 2^8 times the lanes has its upper half in the lower half of
// the upper word.
//
// int4: weights are stored plus 8, and are below 16, so that 32 products fit 16 bits with a sign:
// 8 * 127 * 32 < 2^15. Eight times the lanes are taken off first, and half a unit of the upper half
// is added, since the lower half, at most 15 * 127 * 16 < 2^15, has a sign too. Lanes of -128,
// which no quantiser makes, go to the reference.
//
// The sum over blocks of dot * scale is kept in two words: its lower 32 bits, and the sum of the
// products' parts above 2^28, each rounded down. Of 16 runs
// the latter is off by less than 2^32, so that together they are the exact sum.
//
// The loops are assembly, because they need all registers, and compilers spill some. Four rows go
// at a time; per weight they take 2.7 instructions (int8) and 2.1 (int4), and 28 and 46 more for
// each four runs of up to 32 lanes.
#include <algorithm>
#include <cstddef>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kRowsPerPass = 4;
/// Rows that share one preparation of the vector's lanes.
constexpr std::uint32_t kRowsPerGroup = 32;
/// Lanes that are prepared at a time, and the runs that they are divided in.
constexpr std::uint32_t kPartLanes = 288;
constexpr std::uint32_t kPartRuns = 16;
/// Runs whose products a RowSum can add up.
constexpr std::uint32_t kSumRuns = 16;
constexpr int kHighBits = 28;

constexpr std::uint32_t kEvenBytes = 0x00ff00ff;

std::uint32_t high_product(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
}

std::int32_t high_product(std::int32_t a, std::uint32_t b) {
  std::int32_t high = 0;
  asm("mulhsu %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
  return high;
}

std::uint32_t load_word(const void* bytes) {
  std::uint32_t word = 0;
  __builtin_memcpy(&word, __builtin_assume_aligned(bytes, 4), 4);
  return word;
}

/// A part of the vector, prepared for many rows: runs one behind the other, each with a head of
/// words and prepared lanes. Half a block of 64 is a run of its own. A head is the start of an
/// accumulator, the scale, the scale times 2^(32 - kHighBits), and for int4 the bytes by which the
/// factors go on.
struct Part {
  const std::uint32_t* end = nullptr;
  // Most for int8: 27 words for blocks of 32, 15 for those of 16.
  std::uint32_t words[std::max<std::uint32_t>(kPartLanes / 32 * 27, kPartRuns * 15)];
};

/// The sum of the products of a row, of up to kSumRuns runs.
struct RowSum {
  std::uint32_t low;
  std::int32_t high;

  /// It has the lower 32 bits `low`, and is at least high * 2^kHighBits and less than 2^32 more.
  std::int64_t whole() const { return std::int64_t{upper()} * (std::int64_t{1} << 32) + low; }
  std::int32_t upper() const {
    const std::uint32_t base = static_cast<std::uint32_t>(high) << kHighBits;
    return (high >> (32 - kHighBits)) + (low < base ? 1 : 0);
  }
};

/// Rows of a part, four at a time. The assembly knows the layout, and moves all but the ends on.
struct Pass {
  const std::uint32_t* words;
  const std::uint32_t* words_end;
  const std::uint8_t* weights;  // of the first row
  std::uint32_t row_bytes;
  RowSum* sums;  // which are added to
  const RowSum* sums_end;
  const std::uint8_t* factors;  // of the first row
  std::uint32_t factors_of_row;
};

// Registers: ra pass, a0 part, a1 its end, a2 to a5 rows, a6, a7, t0, t1 accumulators, s0 to s3
// lower words of the sums, s4 to s7 upper ones, s8, s9 scratch, t2 mask; int8: t3 mask, t4 to t6
// prepared lanes; int4: t3 to t6 prepared lanes, s10 factors, s11 factors of a row.
#define MOTE_RV32_BEGIN \
  "mv ra, a0\n"         \
  "0:\n"                \
  "lw a0, 0(ra)\n"      \
  "lw a1, 4(ra)\n"      \
  "lw a2, 8(ra)\n"      \
  "lw s9, 12(ra)\n"     \
  "lw s8, 16(ra)\n"     \
  "lw s10, 24(ra)\n"    \
  "lw s11, 28(ra)\n"    \
  "add a3, a2, s9\n"    \
  "add a4, a3, s9\n"    \
  "add a5, a4, s9\n"    \
  "add s9, a5, s9\n"    \
  "sw s9, 8(ra)\n"      \
  "slli s9, s11, 2\n"   \
  "add s9, s9, s10\n"   \
  "sw s9, 24(ra)\n"     \
  "lw s0, 0(s8)\n"      \
  "lw s4, 4(s8)\n"      \
  "lw s1, 8(s8)\n"      \
  "lw s5, 12(s8)\n"     \
  "lw s2, 16(s8)\n"     \
  "lw s6, 20(s8)\n"     \
  "lw s3, 24(s8)\n"     \
  "lw s7, 28(s8)\n"     \
  "1:\n"                \
  "lw a6, 0(a0)\n"      \
  "mv a7, a6\n"         \
  "mv t0, a6\n"         \
  "mv t1, a6\n"
#define MOTE_RV32_ADD(sum, low, high) \
  "mul s8, " sum                      \
  ", t4\n"                            \
  "mulh s9, " sum                     \
  ", t5\n"                            \
  "add " low ", " low                 \
  ", s8\n"                            \
  "add " high ", " high ", s9\n"
#define MOTE_RV32_END       \
  "addi a2, a2, %[bytes]\n" \
  "addi a3, a3, %[bytes]\n" \
  "addi a4, a4, %[bytes]\n" \
  "addi a5, a5, %[bytes]\n" \
  "addi a0, a0, %[run]\n"   \
  "bne a0, a1, 1b\n"        \
  "lw s8, 16(ra)\n"         \
  "lw s9, 20(ra)\n"         \
  "sw s0, 0(s8)\n"          \
  "sw s4, 4(s8)\n"          \
  "sw s1, 8(s8)\n"          \
  "sw s5, 12(s8)\n"         \
  "sw s2, 16(s8)\n"         \
  "sw s6, 20(s8)\n"         \
  "sw s3, 24(s8)\n"         \
  "sw s7, 28(s8)\n"         \
  "addi s8, s8, 32\n"       \
  "sw s8, 16(ra)\n"         \
  "bne s8, s9, 0b\n"
#define MOTE_RV32_REGISTERS                                                                       \
  "ra", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", \
      "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "memory"

#define MOTE_RV32_INT8(at, row, sum) \
  "lw s8, " at "(" row               \
  ")\n"                              \
  "xor s8, s8, t4\n"                 \
  "and s9, s8, t2\n"                 \
  "xor s8, s8, s9\n"                 \
  "mul s9, s9, t5\n"                 \
  "mulhu s8, s8, t6\n"               \
  "srli s9, s9, 16\n"                \
  "and s8, s8, t3\n"                 \
  "add " sum ", " sum                \
  ", s9\n"                           \
  "add " sum ", " sum ", s8\n"

#define MOTE_RV32_INT4_PIECE(shift, lanes, sum) \
  "srli s9, s8, " shift                         \
  "\n"                                          \
  "and s9, s9, t2\n"                            \
  "mul s9, s9, " lanes                          \
  "\n"                                          \
  "add " sum ", " sum ", s9\n"
#define MOTE_RV32_INT4(at, row, sum)                                \
  "lw s8, " at "(" row                                              \
  ")\n"                                                             \
  "and s9, s8, t2\n"                                                \
  "mul s9, s9, t3\n"                                                \
  "add " sum ", " sum ", s9\n" MOTE_RV32_INT4_PIECE("4", "t4", sum) \
      MOTE_RV32_INT4_PIECE("8", "t5", sum) MOTE_RV32_INT4_PIECE("12", "t6", sum)
#define MOTE_RV32_FACTOR(sum) \
  "lbu s9, 0(t6)\n"           \
  "srai " sum ", " sum        \
  ", 16\n"                    \
  "add t6, t6, s11\n"         \
  "mul " sum ", " sum ", s9\n"

// A word of weights of each row: which it is, where its lanes and its weights are.
#define MOTE_RV32_INT8_WORD(index, first, second, third, at)                             \
  ".if %[words] > " index                                                                \
  "\n"                                                                                   \
  "lw t4, " first                                                                        \
  "(a0)\n"                                                                               \
  "lw t5, " second                                                                       \
  "(a0)\n"                                                                               \
  "lw t6, " third "(a0)\n" MOTE_RV32_INT8(at, "a2", "a6") MOTE_RV32_INT8(at, "a3", "a7") \
      MOTE_RV32_INT8(at, "a4", "t0") MOTE_RV32_INT8(at, "a5", "t1") ".endif\n"
#define MOTE_RV32_INT4_WORD(index, first, second, third, fourth, at)                      \
  ".if %[words] > " index                                                                 \
  "\n"                                                                                    \
  "lw t3, " first                                                                         \
  "(a0)\n"                                                                                \
  "lw t4, " second                                                                        \
  "(a0)\n"                                                                                \
  "lw t5, " third                                                                         \
  "(a0)\n"                                                                                \
  "lw t6, " fourth "(a0)\n" MOTE_RV32_INT4(at, "a2", "a6") MOTE_RV32_INT4(at, "a3", "a7") \
      MOTE_RV32_INT4(at, "a4", "t0") MOTE_RV32_INT4(at, "a5", "t1") ".endif\n"

/// Runs of int8 weights, `W` words each.
template <std::uint32_t W>
struct Int8 {
  static constexpr std::uint32_t kBytes = 4 * W;  // of weights
  static constexpr std::uint32_t kHead = 3;
  static constexpr std::uint32_t kWords = kHead + 3 * W;
  static constexpr bool kHasFactors = false;

  /// Lanes of the run of a block.
  static constexpr std::uint32_t first_lane(std::uint32_t run) { return 4 * W * run; }

  static bool prepare(std::uint32_t* head, const std::int8_t* lanes, std::uint32_t) {
    std::uint32_t added = 0;
    std::uint32_t* words = head + kHead;
    for (std::uint32_t i = 0; i < W; ++i, lanes += 4, words += 3) {
      const std::uint32_t word = load_word(lanes);
      const std::uint32_t signs = (word >> 7) & 0x01010101;
      const std::uint32_t negative = (signs << 8) - signs;
      const std::uint32_t magnitudes = (word ^ negative) + signs;
      const std::uint32_t turned = magnitudes << 16 | magnitudes >> 16;
      words[0] = negative ^ 0x80808080;
      words[1] = turned & kEvenBytes;
      words[2] = turned ^ words[1];
      // What weights of zero would give.
      const std::uint32_t even = words[0] & kEvenBytes;
      added += (even * words[1]) >> 16;
      added += high_product(words[0] ^ even, words[2]) & 0xffff;
    }
    head[0] = 0U - added;
    return true;
  }

  static void multiply(Pass& pass) {
    register Pass* first asm("a0") = &pass;
    asm volatile(
        "li t2, 0x00ff00ff\n"
        "li t3, 0xffff\n"  //
        MOTE_RV32_BEGIN
            // clang-format off
        MOTE_RV32_INT8_WORD("0", "12", "16", "20", "0")
        MOTE_RV32_INT8_WORD("1", "24", "28", "32", "4")
        MOTE_RV32_INT8_WORD("2", "36", "40", "44", "8")
        MOTE_RV32_INT8_WORD("3", "48", "52", "56", "12")
        MOTE_RV32_INT8_WORD("4", "60", "64", "68", "16")
        MOTE_RV32_INT8_WORD("5", "72", "76", "80", "20")
        MOTE_RV32_INT8_WORD("6", "84", "88", "92", "24")
        MOTE_RV32_INT8_WORD("7", "96", "100", "104", "28")
        // clang-format on
        "lw t4, 4(a0)\n"
        "lw t5, 8(a0)\n"  //
        MOTE_RV32_ADD("a6", "s0", "s4") MOTE_RV32_ADD("a7", "s1", "s5")
            MOTE_RV32_ADD("t0", "s2", "s6") MOTE_RV32_ADD("t1", "s3", "s7")  //
        MOTE_RV32_END
        : "+r"(first)
        : [words] "i"(W), [bytes] "i"(kBytes), [run] "i"(4 * kWords)
        : MOTE_RV32_REGISTERS);
  }
};

/// Runs of int4 weights, `W` words of eight each, in blocks of `B` bytes: lanes j and j + B share
/// byte j.
template <std::uint32_t W, std::uint32_t B = 4 * W>
struct Int4 {
  static constexpr std::uint32_t kBytes = 4 * W;
  static constexpr std::uint32_t kHead = 4;
  static constexpr std::uint32_t kWords = kHead + 4 * W;
  static constexpr bool kHasFactors = true;
  static constexpr std::uint32_t kLowestSum = 0U - (32U * 128 << 16);

  static constexpr std::uint32_t first_lane(std::uint32_t run) { return 4 * W * run; }

  /// `later` in the lower half and `earlier` in the upper one, with a borrow where `later` is
  /// negative.
  static std::uint32_t pair(std::int32_t earlier, std::int32_t later) {
    return (static_cast<std::uint32_t>(earlier) << 16) + static_cast<std::uint32_t>(later);
  }

  /// False where all 32 lanes are -128, which weights of -8 would make a sum of 2^15.
  static bool prepare(std::uint32_t* head, const std::int8_t* lanes, std::uint32_t runs_left) {
    std::uint32_t sums = 0;
    std::uint32_t* words = head + kHead;
    for (std::uint32_t i = 0; i < W; ++i, lanes += 4, words += 4) {
      words[0] = pair(lanes[0], lanes[2]);
      words[1] = pair(lanes[B], lanes[B + 2]);
      words[2] = pair(lanes[1], lanes[3]);
      words[3] = pair(lanes[B + 1], lanes[B + 3]);
      const std::uint32_t both = words[0] + words[1] + words[2] + words[3];
      sums += both + (both << 16);
    }
    sums = (sums + 0x8000) & 0xffff0000;
    head[0] = 0x8000 - 8 * sums;
    head[3] = runs_left == 0 ? 1 : 0;
    return sums != kLowestSum;
  }

  static void multiply(Pass& pass) {
    register Pass* first asm("a0") = &pass;
    asm volatile("li t2, 0x000f000f\n"  //
                 MOTE_RV32_BEGIN
                     // clang-format off
        MOTE_RV32_INT4_WORD("0", "16", "20", "24", "28", "0")
        MOTE_RV32_INT4_WORD("1", "32", "36", "40", "44", "4")
        MOTE_RV32_INT4_WORD("2", "48", "52", "56", "60", "8")
        MOTE_RV32_INT4_WORD("3", "64", "68", "72", "76", "12")
                 // clang-format on
                 "lw t3, 12(a0)\n"
                 "lw t4, 4(a0)\n"
                 "lw t5, 8(a0)\n"
                 "mv t6, s10\n"
                 "add s10, s10, t3\n"  //
                 MOTE_RV32_FACTOR("a6") MOTE_RV32_FACTOR("a7") MOTE_RV32_FACTOR("t0")
                     MOTE_RV32_FACTOR("t1")  //
                 MOTE_RV32_ADD("a6", "s0", "s4") MOTE_RV32_ADD("a7", "s1", "s5")
                     MOTE_RV32_ADD("t0", "s2", "s6") MOTE_RV32_ADD("t1", "s3", "s7")  //
                 MOTE_RV32_END
                 : "+r"(first)
                 : [words] "i"(W), [bytes] "i"(kBytes), [run] "i"(4 * kWords)
                 : MOTE_RV32_REGISTERS);
  }
};

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
      is_fit &= Run::prepare(head, lanes + Run::first_lane(run), runs - 1 - run);
      head[1] = scale;
      head[2] = scale << (32 - kHighBits);
    }
  }
  part.end = head;
  return is_fit;
}

/// Adds a part to the sums of `rows` rows from `row` on.
template <typename Run>
void multiply_part(RowSum* sums, const Product& p, const Part& part, std::uint32_t row,
                   std::uint32_t rows, std::uint32_t first) {
  const std::size_t blocks = p.m.blocks();
  const std::size_t row_bytes = p.m.row_bytes();
  const std::uint32_t whole = rows / kRowsPerPass * kRowsPerPass;
  Pass pass = {part.words, part.end,     nullptr, row_bytes,
               sums,       sums + whole, nullptr, Run::kHasFactors ? blocks : 0};
  pass.weights = p.m.weights + row * row_bytes + std::size_t{first} * p.runs * Run::kBytes;
  if constexpr (Run::kHasFactors) pass.factors = p.m.block_factors + row * blocks + first;
  if (whole != 0) Run::multiply(pass);
  // A row that is left goes four times at once.
  pass.row_bytes = 0;
  pass.factors_of_row = 0;
  for (std::uint32_t r = whole; r < rows; ++r) {
    RowSum copies[kRowsPerPass];
    copies[0] = sums[r];
    pass.sums = copies;
    pass.sums_end = copies + kRowsPerPass;
    Run::multiply(pass);
    sums[r] = copies[0];
    pass.weights += row_bytes;
    if constexpr (Run::kHasFactors) pass.factors += blocks;
  }
}

/// round(sum * mantissa * 2^-shift), half up and saturated.
inline std::int32_t round_sum(std::uint32_t lower, std::int32_t upper, std::uint32_t mantissa,
                              int shift) {
  const auto bits = static_cast<std::uint32_t>(shift - 33);
  if (bits < 32) {
    // The product without its lowest 32 bits, then all but the result and its rounding bit dropped.
    const std::uint32_t carried = high_product(lower, mantissa);
    const std::uint32_t low = static_cast<std::uint32_t>(upper) * mantissa + carried;
    const std::int32_t high = high_product(upper, mantissa) + (low < carried ? 1 : 0);
    const auto twice = static_cast<std::int32_t>(
        (low >> bits) | ((static_cast<std::uint32_t>(high) << 1) << (31 - bits)));
    if (high >> bits == twice >> 31) return (twice >> 1) + (twice & 1);
  }
  return multiply_shift(std::int64_t{upper} * (std::int64_t{1} << 32) + lower, mantissa, shift);
}

/// The sums of a group of rows.
struct Group {
  RowSum sums[kRowsPerGroup];
  std::int64_t before[kRowsPerGroup];  // what has been taken out of `sums`
  std::uint32_t rows = 0;
  std::uint32_t runs = 0;  // in `sums`
  bool has_before = false;

  explicit Group(std::uint32_t count) : rows(count) { clear(); }

  /// Makes room for runs.
  void reserve(std::uint32_t count) {
    if (runs + count > kSumRuns) {
      for (std::uint32_t r = 0; r < rows; ++r) before[r] = whole(r);
      has_before = true;
      runs = 0;
      clear();
    }
    runs += count;
  }
  std::int64_t whole(std::uint32_t r) const {
    return sums[r].whole() + (has_before ? before[r] : 0);
  }

 private:
  void clear() {
    for (std::uint32_t r = 0; r < rows; ++r) {
      sums[r] = {0, 0};
      // Not a call of memset, which small libraries have for single bytes.
      asm("" ::: "memory");
    }
  }
};

void write_rows(const Product& p, const Group& group, std::uint32_t row) {
  const Scale16* scale = p.m.row_scales + row;
  std::int32_t* out = p.out + row;
  const std::uint32_t factor = p.x.factor.mantissa;
  const int shift = -p.unit;
  for (std::uint32_t r = 0, rows = group.rows; r < rows; ++r, ++scale, ++out) {
    const std::uint32_t bits = scale->bits;
    const std::uint32_t exponent = bits >> 11;
    const std::uint32_t implied = exponent != 0 ? 1 : 0;
    const std::uint32_t mantissa = (bits & 0x7ff) | (implied << 11);
    std::uint32_t lower = group.sums[r].low;
    std::int32_t upper = group.sums[r].upper();
    if (group.has_before) {
      const std::int64_t whole = group.whole(r);
      lower = static_cast<std::uint32_t>(whole);
      upper = static_cast<std::int32_t>(whole >> 32);
    }
    *out = round_sum(lower, upper, mantissa * factor, shift - static_cast<int>(exponent - implied));
  }
}

/// False where nothing but the reference will do.
template <typename Run>
bool matvec(const Product& p) {
  const std::uint32_t most = std::min(kPartRuns / p.runs, kPartLanes / p.m.block);
  const std::uint32_t blocks = p.m.blocks();
  Part part;
  for (std::uint32_t row = 0; row < p.m.rows; row += kRowsPerGroup) {
    Group group(std::min<std::uint32_t>(kRowsPerGroup, p.m.rows - row));
    for (std::uint32_t first = 0; first < blocks; first += most) {
      const std::uint32_t count = std::min<std::uint32_t>(most, blocks - first);
      // One part stays for all groups.
      if ((row == 0 || count != blocks) && !prepare_part<Run>(part, p, first, count)) return false;
      group.reserve(count * p.runs);
      multiply_part<Run>(group.sums, p, part, row, group.rows, first);
    }
    write_rows(p, group, row);
  }
  return true;
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  const Product p = {out, matrix, x, x.factor.exponent + matrix.exponent + fraction_bits,
                     matrix.block == 64 ? 2U : 1U};
  const auto places =
      reinterpret_cast<std::uintptr_t>(matrix.weights) | reinterpret_cast<std::uintptr_t>(x.values);
  const bool is_int4 = matrix.format == WeightFormat::int4;
  bool is_done = false;
  if (places % 4 == 0) {
    switch (matrix.block) {
      case 8:
        is_done = is_int4 ? matvec<Int4<1>>(p) : matvec<Int8<2>>(p);
        break;
      case 16:
        is_done = is_int4 ? matvec<Int4<2>>(p) : matvec<Int8<4>>(p);
        break;
      case 32:
        is_done = is_int4 ? matvec<Int4<4>>(p) : matvec<Int8<8>>(p);
        break;
      case 64:
        is_done = is_int4 ? matvec<Int4<4, 32>>(p) : matvec<Int8<8>>(p);
        break;
      default:
        break;
    }
  }
  if (!is_done) ref::matvec_s8_s32(out, matrix, x, fraction_bits);
}

}  // namespace mote
