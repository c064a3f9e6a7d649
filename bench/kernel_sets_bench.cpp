// SPDX-License-Identifier: Apache-2.0
// Every set of kernels that this computer can run, side by side. What reads weights or keys and
// values also says what share of its time plainly reading the same bytes would take, which is its
// floor wherever they come from memory.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "attention/attend.hpp"
#include "kernels/kernel_sets.hpp"
#include "kernels/matvec.hpp"

namespace mote::host {
namespace {

template <typename T>
std::vector<T> random_numbers(std::size_t count) {
  std::mt19937 random(1);
  std::vector<T> numbers(count);
  for (T& number : numbers) number = static_cast<T>(random());
  return numbers;
}

/// Seconds of this thread's own time that adding up all words of `bytes` takes, the best of some
/// times.
double reading_seconds(std::span<const std::uint8_t> bytes) {
  const std::size_t passes = 1 + (std::size_t{1} << 25) / bytes.size();
  double best = 1;
  for (int run = 0; run < 5; ++run) {
    const std::clock_t begin = std::clock();
    for (std::size_t pass = 0; pass < passes; ++pass) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        sum += *reinterpret_cast<const std::uint64_t*>(&bytes[i]);
      }
      benchmark::DoNotOptimize(sum);
    }
    const auto ticks = static_cast<double>(std::clock() - begin);
    best = std::min(best, ticks / CLOCKS_PER_SEC / static_cast<double>(passes));
  }
  return best;
}

/// GB/s of `bytes` that each iteration reads, and what share of its time reading them would take:
/// above 1 where the reading loop is slower than the kernel, as in the first caches.
void count_bytes(benchmark::State& state, std::size_t bytes, double floor_seconds) {
  using benchmark::Counter;
  state.counters["bytes"] = Counter(static_cast<double>(bytes), Counter::kIsIterationInvariantRate);
  state.counters["of_reading"] = Counter(floor_seconds, Counter::kIsIterationInvariantRate);
}

void run_matvec(benchmark::State& state, const KernelSet& set, WeightFormat format,
                std::uint32_t rows, std::uint32_t columns) {
  MatrixView m;
  m.rows = rows;
  m.columns = columns;
  m.block = 32;
  m.format = format;
  m.exponent = -38;
  const auto weights = random_numbers<std::uint8_t>(std::size_t{rows} * m.row_bytes());
  const auto factors = random_numbers<std::uint8_t>(std::size_t{rows} * m.blocks());
  const std::vector<Scale16> row_scales(rows, Scale16{0x4321});
  const auto lanes = random_numbers<std::int8_t>(columns);
  const std::vector<std::uint32_t> scales(m.blocks(), 1U << 26);
  m.weights = weights.data();
  m.row_scales = row_scales.data();
  if (format == WeightFormat::int4) m.block_factors = factors.data();
  const ActivationView x = {lanes.data(), scales.data(), {1U << 19, -19}};
  std::vector<std::int32_t> out(rows);
  for (auto _ : state) {
    set.matvec(out.data(), m, x, 16);
    benchmark::ClobberMemory();
  }
  count_bytes(state, weights.size(), reading_seconds(weights));
}

void run_attend(benchmark::State& state, const KernelSet& set, std::size_t head_size,
                std::uint32_t positions) {
  const auto keys = random_numbers<std::uint8_t>(2 * head_size * positions);
  const auto* rows = reinterpret_cast<const std::int8_t*>(keys.data());
  const std::vector<Scale16> scales(positions, Scale16{0x6100});
  const KvSegment stored = {rows, rows + head_size * positions, scales.data(), scales.data(),
                            positions};
  const QuantizedVector query = {rows, {0x6100}};
  std::vector<std::int64_t> values(head_size);
  std::vector<std::uint32_t> scratch(positions);
  WideVector out = {values, {}};
  const Multiplier scale = attention_scale(static_cast<std::uint32_t>(head_size));
  for (auto _ : state) {
    set.attend(out, scratch, {&stored, 1}, {&query, 1}, scale);
    benchmark::ClobberMemory();
  }
  count_bytes(state, keys.size(), reading_seconds(keys));
}

/// Lanes of 24 bits, as projections have them.
std::vector<std::int32_t> random_lanes(std::size_t count) {
  auto lanes = random_numbers<std::int32_t>(count);
  for (std::int32_t& lane : lanes) lane >>= 8;
  return lanes;
}

void run_quantize(benchmark::State& state, const KernelSet& set, std::size_t lanes) {
  const auto in = random_lanes(lanes);
  std::vector<std::int8_t> out(lanes);
  std::vector<Scale16> scales(lanes / 32);
  for (auto _ : state) {
    set.quantize_narrow(out.data(), scales.data(), in, 32, {1U << 19, -39});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lanes));
}

void run_swiglu(benchmark::State& state, const KernelSet& set, std::size_t lanes) {
  auto gate = random_numbers<std::int32_t>(lanes);
  for (std::int32_t& lane : gate) lane >>= 12;
  std::vector<std::int64_t> out(lanes);
  for (auto _ : state) {
    set.swiglu(out.data(), gate.data(), gate.data(), lanes);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lanes));
}

void run_quantize_wide(benchmark::State& state, const KernelSet& set, std::size_t lanes) {
  std::vector<std::int64_t> in(lanes);
  std::ranges::transform(random_lanes(lanes), in.begin(),
                         [](std::int32_t lane) { return std::int64_t{lane} << 16; });
  std::vector<std::int8_t> out(lanes);
  std::vector<Scale16> scales(lanes / 32);
  const Multiplier unit = {1U << 19, -59};
  for (auto _ : state) {
    set.quantize(out.data(), scales.data(), in, 32, {&unit, 1});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lanes));
}

void run_quantize_transformed(benchmark::State& state, const KernelSet& set, std::size_t head_size,
                              std::size_t count) {
  const auto heads = random_lanes(head_size * count);
  std::vector<std::int32_t> lanes(heads.size());
  std::vector<std::int64_t> scratch(head_size);
  std::vector<std::int8_t> out(heads.size());
  std::vector<Scale16> scales(count);
  for (auto _ : state) {
    lanes = heads;
    set.quantize_heads(out.data(), scales.data(), lanes, head_size, scratch, {1U << 19, -39});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(heads.size()));
}

void run_rotate(benchmark::State& state, const KernelSet& set, std::size_t head_size,
                std::size_t heads) {
  auto lanes = random_lanes(head_size * heads);
  const auto frequencies = random_numbers<std::uint32_t>(head_size / 2);
  std::uint32_t position = 0;
  for (auto _ : state) {
    set.rotate_heads(lanes, static_cast<std::uint32_t>(head_size), frequencies.data(), ++position);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lanes.size()));
}

void run_norm_factor(benchmark::State& state, const KernelSet& set, std::uint32_t dim) {
  const auto values = random_numbers<std::int8_t>(dim);
  const std::vector<std::uint32_t> scales(dim / 32, 1U << 26);
  for (auto _ : state) {
    benchmark::DoNotOptimize(set.norm_factor(values.data(), scales, -40, 32, dim, 1U << 30));
  }
  state.SetItemsProcessed(state.iterations() * std::int64_t{dim});
}

void run_add_residual(benchmark::State& state, const KernelSet& set, std::size_t lanes) {
  const auto delta = random_lanes(lanes);
  std::vector<std::int32_t> residual(lanes);
  for (auto _ : state) {
    set.add_residual(residual, delta.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(lanes));
}

void run_find_above(benchmark::State& state, const KernelSet& set, std::size_t count) {
  const auto numbers = random_lanes(count);
  for (auto _ : state) {
    benchmark::DoNotOptimize(set.find_above(numbers.data(), 0, count, 1 << 24));
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}

template <typename... Args>
void add(const std::string& name, const KernelSet& set, Args... args) {
  benchmark::RegisterBenchmark((std::string(set.name) + "/" + name).c_str(), args...);
}

void add_benchmarks(const KernelSet& set) {
  const struct {
    std::uint32_t rows;
    std::uint32_t columns;
  } shapes[] = {{64, 64}, {172, 64}, {352, 128}, {768, 288}, {2048, 768}, {32000, 768}};
  for (const auto& shape : shapes) {
    const std::string size = std::to_string(shape.rows) + "x" + std::to_string(shape.columns);
    add("matvec_int8/" + size, set, run_matvec, set, WeightFormat::int8, shape.rows, shape.columns);
    add("matvec_int4/" + size, set, run_matvec, set, WeightFormat::int4, shape.rows, shape.columns);
  }
  for (const std::size_t head_size : {8U, 16U, 48U, 64U}) {
    for (const std::uint32_t positions : {64U, 256U}) {
      add("attend/" + std::to_string(head_size) + "/" + std::to_string(positions), set, run_attend,
          set, head_size, positions);
    }
  }
  for (const std::size_t lanes : {32U, 256U}) {
    const std::string size = std::to_string(lanes);
    add("quantize/" + size, set, run_quantize, set, lanes);
    add("quantize_wide/" + size, set, run_quantize_wide, set, lanes);
  }
  for (const std::size_t head_size : {8U, 48U, 64U}) {
    const std::string size = std::to_string(head_size);
    for (const std::size_t count : {1U, 8U}) {
      add("quantize_transformed/" + std::to_string(count) + "x" + size, set,
          run_quantize_transformed, set, head_size, count);
    }
    add("rotate/8x" + size, set, run_rotate, set, head_size, std::size_t{8});
  }
  add("swiglu/256", set, run_swiglu, set, std::size_t{256});
  add("norm_factor/288", set, run_norm_factor, set, 288U);
  add("add_residual/288", set, run_add_residual, set, std::size_t{288});
  add("find_above/32000", set, run_find_above, set, std::size_t{32000});
}

}  // namespace
}  // namespace mote::host

int main(int argc, char** argv) {
  for (const mote::host::KernelSet& set : mote::host::kernel_sets()) {
    if (set.runs_here()) mote::host::add_benchmarks(set);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
