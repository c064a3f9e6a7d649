// SPDX-License-Identifier: Apache-2.0
// The loops of linear attention for RV32IM: a sum takes 23 instructions to decay and to be added
// to, or 30 where what is added is rounded, and 31 for its products with the features of two heads.
#include "attention/linear_steps.hpp"

namespace mote {
namespace {

/// Sums that decay and are added to. The assembly below knows the layout of this and the other
/// structure.
struct AddRow {
  std::int64_t* sums;
  const std::uint32_t* features;
  std::int32_t lane;
  const std::int64_t* end;
  std::uint32_t raised;  // decay * 2^16
  std::uint32_t drop;
  std::uint32_t rest;  // 32 - drop
  std::uint32_t half;  // 2^(drop - 1)
};

struct DotTwo {
  const std::int64_t* sums;
  const std::uint32_t* features;
  const std::int64_t* end;
  WideSum* totals;
};

// clang-format off

// The sum becomes t3, t5, decayed; the product of feature and lane t4, t6.
#define MOTE_RV32_DECAY   \
  "lw t0, 0(a1)\n"        \
  "lw t1, 4(a1)\n"        \
  "lw t2, 0(a2)\n"        \
  "mulhu t3, t0, a5\n"    \
  "mul t4, t0, a5\n"      \
  "mul t6, t1, a5\n"      \
  "mulhsu t5, t1, a5\n"   \
  "srli t4, t4, 31\n"     \
  "add t3, t3, t4\n"      \
  "add t3, t3, t6\n"      \
  "sltu t6, t3, t6\n"     \
  "add t5, t5, t6\n"      \
  "mul t4, t2, a3\n"      \
  "mulh t6, t2, a3\n"
#define MOTE_RV32_ROUND_ADDEND \
  "add t4, t4, s2\n"      \
  "sltu t2, t4, s2\n"     \
  "add t6, t6, t2\n"      \
  "srl t4, t4, a6\n"      \
  "sll t2, t6, a7\n"      \
  "or t4, t4, t2\n"       \
  "sra t6, t6, a6\n"
#define MOTE_RV32_ADD_ROW(round) \
  "lw a1, 0(a0)\n"        \
  "lw a2, 4(a0)\n"        \
  "lw a3, 8(a0)\n"        \
  "lw a4, 12(a0)\n"       \
  "lw a5, 16(a0)\n"       \
  "lw a6, 20(a0)\n"       \
  "lw a7, 24(a0)\n"       \
  "lw s2, 28(a0)\n"       \
  "1:\n"                  \
  MOTE_RV32_DECAY         \
  round                   \
  "add t3, t3, t4\n"      \
  "sltu t4, t3, t4\n"     \
  "add t5, t5, t6\n"      \
  "add t5, t5, t4\n"      \
  "sw t3, 0(a1)\n"        \
  "sw t5, 4(a1)\n"        \
  "addi a1, a1, 8\n"      \
  "addi a2, a2, 4\n"      \
  "bne a1, a4, 1b\n"
#define MOTE_RV32_ROW_REGISTERS \
  "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s2", "memory"

void add_row(const AddRow& row) {
  register const AddRow* first asm("a0") = &row;
  asm volatile(MOTE_RV32_ADD_ROW("") : "+r"(first) : : MOTE_RV32_ROW_REGISTERS);
}

void add_row_rounded(const AddRow& row) {
  register const AddRow* first asm("a0") = &row;
  asm volatile(MOTE_RV32_ADD_ROW(MOTE_RV32_ROUND_ADDEND)
               : "+r"(first) : : MOTE_RV32_ROW_REGISTERS);
}

// The products of the sum t0, t1 with the feature at `at`, added to the words high and low.
#define MOTE_RV32_DOT_ONE(at, high0, high1, low0, low1) \
  "lw t2, " at "(a2)\n"                                 \
  "mul t3, t0, t2\n"                                    \
  "mulhu t4, t0, t2\n"                                  \
  "add " low0 ", " low0 ", t3\n"                        \
  "sltu t3, " low0 ", t3\n"                             \
  "add " low1 ", " low1 ", t4\n"                        \
  "mul t5, t1, t2\n"                                    \
  "mulh t6, t1, t2\n"                                   \
  "add " low1 ", " low1 ", t3\n"                        \
  "add " high0 ", " high0 ", t5\n"                      \
  "sltu t5, " high0 ", t5\n"                            \
  "add " high1 ", " high1 ", t6\n"                      \
  "add " high1 ", " high1 ", t5\n"

void dot_two(DotTwo& rows) {
  register DotTwo* first asm("a0") = &rows;
  asm volatile(
      "lw a1, 0(a0)\n"
      "lw a2, 4(a0)\n"
      "lw a3, 8(a0)\n"
      "li a4, 0\n"
      "li a5, 0\n"
      "li a6, 0\n"
      "li a7, 0\n"
      "li s2, 0\n"
      "li s3, 0\n"
      "li s4, 0\n"
      "li s5, 0\n"
      "1:\n"
      "lw t0, 0(a1)\n"
      "lw t1, 4(a1)\n"
      MOTE_RV32_DOT_ONE("0", "a4", "a5", "a6", "a7")
      MOTE_RV32_DOT_ONE("4", "s2", "s3", "s4", "s5")
      "addi a1, a1, 8\n"
      "addi a2, a2, 8\n"
      "bne a1, a3, 1b\n"
      "lw a0, 12(a0)\n"
      "sw a4, 0(a0)\n"
      "sw a5, 4(a0)\n"
      "sw a6, 8(a0)\n"
      "sw a7, 12(a0)\n"
      "sw s2, 16(a0)\n"
      "sw s3, 20(a0)\n"
      "sw s4, 24(a0)\n"
      "sw s5, 28(a0)\n"
      : "+r"(first)
      :
      : "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s2",
        "s3", "s4", "s5", "memory");
}

// clang-format on

}  // namespace

void decay_and_add(std::int64_t* sums, const std::uint32_t* features, std::int32_t lane, int shift,
                   std::uint32_t decay, std::size_t count) {
  const AddRow row = {sums,
                      features,
                      lane,
                      sums + count,
                      decay << 16,
                      static_cast<std::uint32_t>(shift),
                      static_cast<std::uint32_t>(32 - shift),
                      (1U << shift) >> 1};
  shift == 0 ? add_row(row) : add_row_rounded(row);
}

void dot_two_features(WideSum (&totals)[2], const std::int64_t* sums, const std::uint32_t* features,
                      std::size_t count) {
  DotTwo rows = {sums, features, sums + count, totals};
  dot_two(rows);
}

}  // namespace mote
