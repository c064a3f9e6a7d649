// SPDX-License-Identifier: Apache-2.0
// The kernels of one board: first compared with the reference, bit for bit, then counted. Prints a
// line of JSON for each operation and ends with status 0 where every bit is right, else 1.
// scripts/bench_devices.sh makes a table of the lines.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/board.hpp"
#include "kernels/activation.hpp"
#include "kernels/matvec.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/rope.hpp"
#include "kernels/softmax.hpp"
#include "mote/arena.hpp"
#include "mote/attention.hpp"
#include "support/attention_cases.hpp"
#include "support/lane_cases.hpp"
#include "support/linear_cases.hpp"
#include "support/matvec_cases.hpp"

namespace mote {
namespace {

using test::Random;

void print(std::uint64_t value) {
  std::array<char, 20> digits;
  std::size_t begin = digits.size();
  do {
    digits[--begin] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  board::write_console({&digits[begin], digits.size() - begin});
}

void print_field(std::string_view name, std::uint64_t value) {
  board::write_console(", \"");
  board::write_console(name);
  board::write_console("\": ");
  print(value);
}

/// What one run of an operation has to do.
struct Work {
  std::uint64_t items = 0;  // multiply-accumulates, or elements
  std::uint64_t bytes = 0;  // of weights, or of keys and values, that are read
};

void do_nothing() {}

/// Runs `operation` until the counter's grain does not matter, and prints the work of one run
/// without that of `preparation`, which is the first thing it does.
template <typename Operation, typename Preparation = void()>
void measure(std::string_view name, std::uint32_t rows, std::uint32_t columns, std::uint32_t block,
             Work work, const Operation& operation, const Preparation& preparation = do_nothing) {
  constexpr std::uint64_t kEnough = 200000;
  operation();
  std::uint64_t used = 0;
  std::uint32_t runs = 0;
  while (used < kEnough) {
    const std::uint64_t begin = board::work_count();
    operation();
    const std::uint64_t between = board::work_count();
    preparation();
    // What the reading of the counter takes is in both differences, and cancels out.
    used += between - begin - (board::work_count() - between);
    ++runs;
  }
  board::write_console("{\"operation\": \"");
  board::write_console(name);
  board::write_console("\"");
  print_field("rows", rows);
  print_field("columns", columns);
  print_field("block", block);
  print_field("items", work.items);
  print_field("bytes", work.bytes);
  print_field("work", (used + runs / 2) / runs);
  board::write_console("}\n");
}

template <typename T>
std::span<T> random_numbers(Arena& arena, Random& random, std::size_t count) {
  const auto numbers = arena.take<T>(count);
  for (T& number : numbers) number = static_cast<T>(random.next());
  return numbers;
}

std::span<std::int8_t> random_lanes(Arena& arena, Random& random, std::size_t count) {
  const auto lanes = arena.take<std::int8_t>(count);
  for (std::int8_t& lane : lanes) lane = random.between<std::int8_t>(-127, 127);
  return lanes;
}

enum class Blocks : std::uint8_t { all, each_second };  // those whose scale is not 0

std::string_view name_of(WeightFormat format, Blocks blocks) {
  if (blocks == Blocks::each_second) return "half of int8";
  if (format == WeightFormat::int8_pairs) return "matvec int8_pairs";
  return format == WeightFormat::int4 ? "matvec int4" : "matvec int8";
}

/// A board whose memory does not hold all rows measures fewer: what a row takes is the same.
void measure_matvec(WeightFormat format, std::uint32_t rows, std::uint32_t columns,
                    std::uint32_t block, Blocks blocks = Blocks::all) {
  const bool is_int4 = format == WeightFormat::int4;
  const std::uint32_t row_bytes = is_int4 ? columns / 2 + columns / block : columns;
  const std::size_t room = board::arena().size() - 3 * columns - 8 * rows - 256;
  while (std::size_t{rows} * row_bytes > room) rows /= 2;
  Arena arena(board::arena());
  Random random(1);
  MatrixView m;
  m.rows = rows;
  m.columns = columns;
  m.block = block;
  m.format = format;
  // Rows come out at some 24 bits, with scales near their limit, as images have them.
  m.exponent = -75;
  m.weights = random_numbers<std::uint8_t>(arena, random, rows * m.row_bytes()).data();
  const auto scales = arena.take<Scale16>(rows);
  std::ranges::fill(scales, Scale16{0xf321});
  m.row_scales = scales.data();
  if (is_int4) {
    m.block_factors = random_numbers<std::uint8_t>(arena, random, rows * m.blocks()).data();
  }
  const auto lane_scales = arena.take<std::uint32_t>(m.blocks());
  std::ranges::fill(lane_scales, 1U << 26);
  for (std::size_t b = 1; b < lane_scales.size() && blocks == Blocks::each_second; b += 2) {
    lane_scales[b] = 0;
  }
  const ActivationView x = {
      random_lanes(arena, random, columns).data(), lane_scales.data(), {1U << 19, -19}};
  const auto out = arena.take<std::int32_t>(rows);
  measure(name_of(format, blocks), rows, columns, block,
          {std::uint64_t{rows} * columns, std::uint64_t{rows} * row_bytes},
          [&] { matvec_s8_s32(out.data(), m, x, 16); });
}

void measure_matvecs() {
  for (const WeightFormat format :
       {WeightFormat::int8, WeightFormat::int4, WeightFormat::int8_pairs}) {
    measure_matvec(format, 768, 288, 32);
    measure_matvec(format, 288, 768, 32);
    measure_matvec(format, 768, 256, 64);
    measure_matvec(format, 64, 64, 32);
    measure_matvec(format, 64, 192, 32);
    measure_matvec(format, 8, 64, 32);
    measure_matvec(format, 64, 64, 8);
  }
  measure_matvec(WeightFormat::int8, 288, 768, 32, Blocks::each_second);
  measure_matvec(WeightFormat::int8, 64, 192, 32, Blocks::each_second);
}

/// Scores of some nats, so that every position has a weight.
void measure_attention(std::uint32_t positions) {
  constexpr std::uint32_t kHeadSize = 32;
  Arena arena(board::arena());
  Random random(2);
  const AttentionShape shape = {1, 1, kHeadSize, positions};
  CausalAttention attention(shape, arena.take<std::byte>(CausalAttention::state_bytes(shape)));
  const auto scratch = arena.take<std::uint32_t>(CausalAttention::scratch_count(shape));
  const auto lanes = random_lanes(arena, random, 1024);
  WideVector out = {arena.take<std::int64_t>(kHeadSize), {}};
  for (std::uint32_t t = 0; t < positions; ++t) {
    const Scale16 scale = {random.between<std::uint16_t>(0x5800, 0x6000)};
    attention.store(t, 0, {&lanes[t * 37 % 990], scale}, {&lanes[t * 53 % 990], scale});
  }
  measure(
      "attention", 1, positions, kHeadSize,
      {std::uint64_t{2} * kHeadSize * positions, std::uint64_t{2} * (kHeadSize + 2) * positions},
      [&] {
        attention.attend(out, scratch, positions - 1, 0, {lanes.data(), {0x6000}});
      });
}

void measure_softmax() {
  Arena arena(board::arena());
  Random random(3);
  const auto scores = arena.take<std::uint32_t>(256);
  const auto weights = arena.take<std::uint32_t>(scores.size());
  for (std::uint32_t& score : scores) score = random.between<std::uint32_t>(0, 10 << 16);
  const auto copy = [&] { std::ranges::copy(scores, weights.begin()); };
  const auto copy_and_weigh = [&] {
    copy();
    softmax_weights(weights, 10 << 16);
  };
  measure("softmax", 1, 256, 0, {scores.size(), 0}, copy_and_weigh, copy);
}

void measure_elements() {
  constexpr std::uint32_t kLanes = 256;
  Arena arena(board::arena());
  Random random(4);
  const auto lanes = random_lanes(arena, random, kLanes);
  const auto scales = arena.take<std::uint32_t>(kLanes / 32);
  std::ranges::fill(scales, 1U << 26);
  std::uint32_t sum = 0;
  measure("norm factor", 1, kLanes, 32, {kLanes, 0},
          [&] { sum += norm_factor(lanes.data(), scales, 0, 32, kLanes, 0).mantissa; });
  const auto wide = arena.take<std::int64_t>(kLanes);
  for (std::int64_t& lane : wide) lane = random.between(-1000000, 1000000);
  measure("quantise", 1, kLanes, 32, {kLanes, 0}, [&] {
    for (std::uint32_t i = 0; i < kLanes; i += 32) {
      sum += quantize_block_s64_s8(&lanes[i], wide.subspan(i, 32), {1U << 19, -40}).bits;
    }
  });
  const auto gates = arena.take<std::int32_t>(kLanes);
  for (std::int32_t& gate : gates) gate = random.between<std::int32_t>(-300000, 300000);
  measure("swiglu", 1, kLanes, 0, {kLanes, 0},
          [&] { swiglu_lanes(wide.data(), gates.data(), gates.data(), kLanes); });
  const auto turns = random_numbers<std::uint32_t>(arena, random, kLanes / 2);
  measure("rope", 1, kLanes, 0, {kLanes, 0}, [&] { rotate_pairs(gates, turns.data(), 3); });
  // Keeps the results in the program.
  if (sum == 1) board::write_console("\n");
}

int run() {
  const std::uint32_t wrong = test::count_wrong_rows(
      matvec_s8_s32, board::arena().first(test::kMatvecCaseBytes), 1, MOTE_KERNEL_CASES);
  const std::uint32_t wrong_heads = test::count_wrong_attention(
      board::arena().first(test::kAttentionCaseBytes), 1, MOTE_KERNEL_CASES);
  const std::uint32_t wrong_lanes = test::count_wrong_lanes(1, MOTE_KERNEL_CASES) +
                                    test::count_wrong_sums(1, MOTE_KERNEL_CASES);
  board::write_console("{\"board\": \"");
  board::write_console(board::name());
  board::write_console("\", \"kernels\": \"" MOTE_KERNELS_NAME "\", \"unit\": \"");
  board::write_console(board::work_unit());
  board::write_console("\"");
  print_field("wrong_rows", wrong);
  print_field("wrong_heads", wrong_heads);
  print_field("wrong_lanes", wrong_lanes);
  board::write_console("}\n");
  measure_matvecs();
  for (const std::uint32_t positions : {1U, 256U, 2048U}) measure_attention(positions);
  measure_softmax();
  measure_elements();
  board::write_console("{\"done\": true}\n");
  return wrong + wrong_heads + wrong_lanes == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mote

extern "C" int mote_main() {
  const int status = mote::run();
  mote::board::exit(status);
}
