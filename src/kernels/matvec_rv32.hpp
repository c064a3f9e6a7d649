// SPDX-License-Identifier: Apache-2.0
// The loops of matvec_rv32.cpp, which says how they multiply: assembly, because they need all
// registers, and compilers spill some. Four rows go at a time; per weight they take 2.7
// instructions (int8) and 2.1 (int4), and 24 and 46 more for each four runs of up to 32 lanes.
#pragma once

#include <cstdint>

namespace mote::rv32 {

inline constexpr std::uint32_t kRowsPerPass = 4;
/// Runs that are prepared at a time, and the words that they take: 9 of 32 lanes in int8, 12 in
/// int4.
inline constexpr std::uint32_t kPartRuns = 15;
inline constexpr std::uint32_t kPartWords = 240;
/// The unit of the upper word of a sum, and what it has above 32 bits.
inline constexpr int kHighBits = 28;
inline constexpr int kScaleRaise = 32 - kHighBits;

inline constexpr std::uint32_t kEvenBytes = 0x00ff00ff;

/// The upper half of a product.
inline std::uint32_t high_product(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
}

inline std::uint32_t load_word(const void* bytes) {
  std::uint32_t word = 0;
  __builtin_memcpy(&word, __builtin_assume_aligned(bytes, 4), 4);
  return word;
}

/// The sum of the products of a row, of up to kPartRuns runs: it has the lower 32 bits `low`, and
/// is at least high * 2^kHighBits and less than 2^32 more.
struct RowSum {
  std::uint32_t low;
  std::int32_t high;

  std::int64_t whole() const {
    const std::uint32_t base = static_cast<std::uint32_t>(high) << kHighBits;
    const std::int32_t upper = (high >> kScaleRaise) + (low < base ? 1 : 0);
    return std::int64_t{upper} * (std::int64_t{1} << 32) + low;
  }
};

/// A part of the vector, prepared for many rows: runs one behind the other, each with a head of
/// words and prepared lanes. Half a block of 64 is a run of its own.
struct Part {
  const std::uint32_t* end = nullptr;
  std::int64_t start = 0;  // what every sum begins with, int8 only
  std::uint32_t words[kPartWords];
};

/// Rows times a part, four at a time. The assembly knows the layout, and moves all on but the ends
/// and what follows `row_scales`. Rounded results go to `out`. Where one of four needs more than
/// the usual steps, or `usual` is zero, all four are left in `sums` instead, and the pass ends with
/// the last of these.
struct Pass {
  const std::uint32_t* words;
  const std::uint32_t* words_end;
  const std::uint8_t* weights;  // of the first row
  std::uint32_t row_bytes;
  RowSum* sums;
  const RowSum* sums_end;
  const std::uint8_t* factors;  // of the first row
  std::uint32_t factors_of_row;
  std::int32_t* out;
  const std::int32_t* out_end;
  const std::uint16_t* row_scales;
  std::uint32_t mantissa;  // of the vector's factor
  std::uint32_t top;       // less the stored exponent of a row: its shift, as the loop counts it
  std::uint32_t usual;     // shifts below this many are usual
  RowSum start;            // of all rows
};

// Registers: ra pass, a0 part, a1 its end, a2 to a5 rows, a6, a7, t0, t1 accumulators, s0 to s3
// lower words of the sums, s4 to s7 upper ones, s8, s9 scratch, t2 mask; int8: t3 mask, t4 to t6
// prepared lanes; int4: t3 to t6 prepared lanes, s10 factors, s11 factors of a row.
#define MOTE_RV32_BEGIN  \
  "mv ra, a0\n"          \
  "0:\n"                 \
  "lw a0, 0(ra)\n"       \
  "lw a1, 4(ra)\n"       \
  "lw a2, 8(ra)\n"       \
  "lw s9, 12(ra)\n"      \
  "lw s0, 56(ra)\n"      \
  "add a3, a2, s9\n"     \
  "add a4, a3, s9\n"     \
  "add a5, a4, s9\n"     \
  "add s9, a5, s9\n"     \
  "sw s9, 8(ra)\n"       \
  "mv s1, s0\n"          \
  "mv s2, s0\n"          \
  "mv s3, s0\n"          \
  ".if %[narrow] == 0\n" \
  "lw s4, 60(ra)\n"      \
  "mv s5, s4\n"          \
  "mv s6, s4\n"          \
  "mv s7, s4\n"          \
  ".endif\n"
#define MOTE_RV32_ADD(sum, low, high) \
  "mul s8, " sum                      \
  ", t4\n"                            \
  "add " low ", " low                 \
  ", s8\n"                            \
  ".if %[narrow] == 0\n"              \
  "mulh s9, " sum                     \
  ", t5\n"                            \
  "add " high ", " high               \
  ", s9\n"                            \
  ".endif\n"
// Rounds as multiply_shift does: the lowest 32 bits of the product are dropped, the rest is t4 and
// t1, or t4 alone where the sum is narrow.
#define MOTE_RV32_ROUND(scale, at, low, high) \
  "lhu a6, " scale                            \
  "(s8)\n"                                    \
  "srli a7, a6, 11\n"                         \
  "sub t0, a4, a7\n"                          \
  "bgeu t0, a5, 5f\n"                         \
  "andi a6, a6, 2047\n"                       \
  "or a6, a6, a2\n"                           \
  "mul a6, a6, a3\n"                          \
  ".if %[narrow]\n"                           \
  "mulhsu t4, " low                           \
  ", a6\n"                                    \
  "sra t4, t4, t0\n"                          \
  "addi t4, t4, 1\n"                          \
  "srai a6, t4, 1\n"                          \
  ".else\n"                                   \
  "slli a7, " high                            \
  ", 28\n"                                    \
  "srai t4, " high                            \
  ", 4\n"                                     \
  "sltu a7, " low                             \
  ", a7\n"                                    \
  "add t4, t4, a7\n"                          \
  "mulhu a7, " low                            \
  ", a6\n"                                    \
  "mul t1, t4, a6\n"                          \
  "mulhsu t4, t4, a6\n"                       \
  "add t1, t1, a7\n"                          \
  "sltu a7, t1, a7\n"                         \
  "add t4, t4, a7\n"                          \
  "sra a6, t4, t0\n"                          \
  "srai a7, t4, 31\n"                         \
  "bne a6, a7, 5f\n"                          \
  "srl t1, t1, t0\n"                          \
  "srli t1, t1, 1\n"                          \
  "not t0, t0\n"                              \
  "sll t4, t4, t0\n"                          \
  "or t1, t1, t4\n"                           \
  "srai a6, t1, 1\n"                          \
  "andi t1, t1, 1\n"                          \
  "add a6, a6, t1\n"                          \
  ".endif\n"                                  \
  "sw a6, " at "(s9)\n"
// What rounding needs in registers, for rows with so many bytes of results and scales.
#define MOTE_RV32_ROUNDING(results, scales) \
  "lw s9, 32(ra)\n"                         \
  "lw s8, 40(ra)\n"                         \
  "lw a3, 44(ra)\n"                         \
  "lw a4, 48(ra)\n"                         \
  "lw a5, 52(ra)\n"                         \
  "addi a6, s9, " results                   \
  "\n"                                      \
  "sw a6, 32(ra)\n"                         \
  "addi a6, s8, " scales                    \
  "\n"                                      \
  "sw a6, 40(ra)\n"                         \
  "lui a2, 1\n"                             \
  "srli a2, a2, 1\n"
#define MOTE_RV32_END \
  "addi a2, a2, %[bytes]\n"                  \
  "addi a3, a3, %[bytes]\n"                  \
  "addi a4, a4, %[bytes]\n"                  \
  "addi a5, a5, %[bytes]\n"                  \
  "addi a0, a0, %[run]\n"                    \
  "bne a0, a1, 1b\n"                         \
  MOTE_RV32_ROUNDING("16", "8")              \
  MOTE_RV32_ROUND("0", "0", "s0", "s4")      \
  MOTE_RV32_ROUND("2", "4", "s1", "s5")      \
  MOTE_RV32_ROUND("4", "8", "s2", "s6")      \
  MOTE_RV32_ROUND("6", "12", "s3", "s7")     \
  "lw a6, 36(ra)\n"                          \
  "addi s9, s9, 16\n"                        \
  "bne s9, a6, 0b\n"                         \
  "j 6f\n"                                   \
  "5:\n"                                     \
  ".if %[narrow]\n"                          \
  "srai s4, s0, 28\n"                        \
  "srai s5, s1, 28\n"                        \
  "srai s6, s2, 28\n"                        \
  "srai s7, s3, 28\n"                        \
  ".endif\n"                                 \
  "lw s8, 16(ra)\n"                          \
  "lw s9, 20(ra)\n"                          \
  "sw s0, 0(s8)\n"                           \
  "sw s4, 4(s8)\n"                           \
  "sw s1, 8(s8)\n"                           \
  "sw s5, 12(s8)\n"                          \
  "sw s2, 16(s8)\n"                          \
  "sw s6, 20(s8)\n"                          \
  "sw s3, 24(s8)\n"                          \
  "sw s7, 28(s8)\n"                          \
  "addi s8, s8, 32\n"                        \
  "sw s8, 16(ra)\n"                          \
  "bne s8, s9, 0b\n"                         \
  "6:\n"
#define MOTE_RV32_REGISTERS                                                                       \
  "ra", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s0", \
      "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "memory"

// Four weights of a row, whose products begin a sum (SET) or are added to it (MORE).
#define MOTE_RV32_INT8(at, row, sum, first) \
  "lw s8, " at "(" row                      \
  ")\n"                                     \
  "xor s8, s8, t4\n"                        \
  "and s9, s8, t2\n"                        \
  "xor s8, s8, s9\n"                        \
  "mul s9, s9, t5\n"                        \
  "mulhu s8, s8, t6\n" first                \
  "and s8, s8, t3\n"                        \
  "add " sum ", " sum ", s8\n"
#define MOTE_RV32_SET(sum) "srli " sum ", s9, 16\n"
#define MOTE_RV32_MORE(sum) \
  "srli s9, s9, 16\n"       \
  "add " sum ", " sum ", s9\n"

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
#define MOTE_RV32_INT8_WORD(index, one, two, three, at, step)                               \
  ".if %[words] > " index                                                                   \
  "\n"                                                                                      \
  "lw t4, " one                                                                             \
  "(a0)\n"                                                                                  \
  "lw t5, " two                                                                             \
  "(a0)\n"                                                                                  \
  "lw t6, " three "(a0)\n" MOTE_RV32_INT8(at, "a2", "a6", step("a6"))                       \
      MOTE_RV32_INT8(at, "a3", "a7", step("a7")) MOTE_RV32_INT8(at, "a4", "t0", step("t0")) \
          MOTE_RV32_INT8(at, "a5", "t1", step("t1")) ".endif\n"
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
  static constexpr std::uint32_t kHead = 2;       // scale, scale * 2^kScaleRaise
  static constexpr std::uint32_t kWords = kHead + 3 * W;
  static constexpr bool kHasFactors = false;
  static constexpr bool kCanBeNarrow = W != 4;  // blocks of 16 are rare

  /// Lanes of the run of a block.
  static constexpr std::uint32_t first_lane(std::uint32_t run) { return 4 * W * run; }

  /// Prepares a run. What weights of zero would give, times the scale, is taken off `start`.
  static bool prepare(std::uint32_t* head, std::int64_t& start, const std::int8_t* lanes,
                      std::uint32_t scale, std::uint32_t) {
    std::uint32_t added = 0;
    head[0] = scale;
    head[1] = scale << kScaleRaise;
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
      const std::uint32_t even = words[0] & kEvenBytes;
      added += (even * words[1]) >> 16;
      added += high_product(words[0] ^ even, words[2]) & 0xffff;
    }
    start -= static_cast<std::int64_t>(std::uint64_t{added} * scale);
    return true;
  }

  template <bool kIsNarrow>
  static void multiply(Pass& pass) {
    register Pass* first asm("a0") = &pass;
    asm volatile(
        "li t2, 0x00ff00ff\n"
        "li t3, 0xffff\n"  //
        MOTE_RV32_BEGIN "1:\n"
        // clang-format off
        MOTE_RV32_INT8_WORD("0", "8", "12", "16", "0", MOTE_RV32_SET)
        MOTE_RV32_INT8_WORD("1", "20", "24", "28", "4", MOTE_RV32_MORE)
        MOTE_RV32_INT8_WORD("2", "32", "36", "40", "8", MOTE_RV32_MORE)
        MOTE_RV32_INT8_WORD("3", "44", "48", "52", "12", MOTE_RV32_MORE)
        MOTE_RV32_INT8_WORD("4", "56", "60", "64", "16", MOTE_RV32_MORE)
        MOTE_RV32_INT8_WORD("5", "68", "72", "76", "20", MOTE_RV32_MORE)
        MOTE_RV32_INT8_WORD("6", "80", "84", "88", "24", MOTE_RV32_MORE)
        MOTE_RV32_INT8_WORD("7", "92", "96", "100", "28", MOTE_RV32_MORE)
        // clang-format on
        "lw t4, 0(a0)\n"
        "lw t5, 4(a0)\n"  //
        MOTE_RV32_ADD("a6", "s0", "s4") MOTE_RV32_ADD("a7", "s1", "s5")
            MOTE_RV32_ADD("t0", "s2", "s6") MOTE_RV32_ADD("t1", "s3", "s7")  //
        MOTE_RV32_END
        : "+r"(first)
        :
        [words] "i"(W), [bytes] "i"(kBytes), [run] "i"(4 * kWords), [narrow] "i"(kIsNarrow ? 1 : 0)
        : MOTE_RV32_REGISTERS);
  }
};

/// The loop over runs of int4 weights, `W` words of eight each.
template <std::uint32_t W>
struct Int4Loop {
  static constexpr std::uint32_t kBytes = 4 * W;
  // Start of an accumulator, scale, scale * 2^kScaleRaise, bytes by which the factors go on.
  static constexpr std::uint32_t kHead = 4;
  static constexpr std::uint32_t kWords = kHead + 4 * W;
  static constexpr bool kHasFactors = true;
  static constexpr bool kCanBeNarrow = false;

  template <bool kIsNarrow>
  static void multiply(Pass& pass) {
    register Pass* first asm("a0") = &pass;
    asm volatile(
        "li t2, 0x000f000f\n"  //
        MOTE_RV32_BEGIN
        "lw s10, 24(ra)\n"
        "lw s11, 28(ra)\n"
        "slli s9, s11, 2\n"
        "add s9, s9, s10\n"
        "sw s9, 24(ra)\n"
        "1:\n"
        "lw a6, 0(a0)\n"
        "mv a7, a6\n"
        "mv t0, a6\n"
        "mv t1, a6\n"
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
        MOTE_RV32_FACTOR("a6") MOTE_RV32_FACTOR("a7") MOTE_RV32_FACTOR("t0") MOTE_RV32_FACTOR("t1")
            MOTE_RV32_ADD("a6", "s0", "s4") MOTE_RV32_ADD("a7", "s1", "s5")
                MOTE_RV32_ADD("t0", "s2", "s6") MOTE_RV32_ADD("t1", "s3", "s7")  //
        MOTE_RV32_END
        : "+r"(first)
        :
        [words] "i"(W), [bytes] "i"(kBytes), [run] "i"(4 * kWords), [narrow] "i"(kIsNarrow ? 1 : 0)
        : MOTE_RV32_REGISTERS);
  }
};

/// These runs in blocks of `B` bytes: lanes j and j + B share byte j.
template <std::uint32_t W, std::uint32_t B = 4 * W>
struct Int4 : Int4Loop<W> {
  using Int4Loop<W>::kHead;
  static constexpr std::uint32_t kLowestSum = 0U - (32U * 128 << 16);

  static constexpr std::uint32_t first_lane(std::uint32_t run) { return 4 * W * run; }

  /// `later` in the lower half and `earlier` in the upper one, with a borrow where `later` is
  /// negative.
  static std::uint32_t pair(std::int32_t earlier, std::int32_t later) {
    return (static_cast<std::uint32_t>(earlier) << 16) + static_cast<std::uint32_t>(later);
  }

  /// False where all 32 lanes are -128, which weights of -8 would make a sum of 2^15.
  static bool prepare(std::uint32_t* head, std::int64_t&, const std::int8_t* lanes,
                      std::uint32_t scale, std::uint32_t runs_left) {
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
    head[1] = scale;
    head[2] = scale << kScaleRaise;
    head[3] = runs_left == 0 ? 1 : 0;
    return sums != kLowestSum;
  }
};

}  // namespace mote::rv32
