// SPDX-License-Identifier: Apache-2.0
// Time of one token in one head of 64, for each attention kind, by the position it has reached.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "mote/attention.hpp"
#include "mote/linear_attention.hpp"
#include "mote/sliding_window.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kHeadSize = 64;

/// Keys, values and queries of ordinary size, and room for a result.
struct Head {
  std::vector<std::int8_t> lanes;
  std::vector<std::int64_t> values = std::vector<std::int64_t>(kHeadSize);
  WideVector out = {values, {}};

  Head() {
    std::mt19937 random(1);
    for (int i = 0; i < 4096; ++i) lanes.push_back(static_cast<std::int8_t>(random() % 255 - 127));
  }
  QuantizedVector row(std::uint32_t t) const { return {&lanes[(t * 37) % 4000], {0x9800}}; }
};

void run_causal(benchmark::State& bench) {
  const auto count = static_cast<std::uint32_t>(bench.range(0));
  const AttentionShape shape = {1, 1, kHeadSize, count};
  Head head;
  std::vector<std::byte> state(CausalAttention::state_bytes(shape));
  std::vector<std::uint32_t> scratch(CausalAttention::scratch_count(shape));
  CausalAttention attention(shape, state);
  for (std::uint32_t t = 0; t < count; ++t) attention.store(t, 0, head.row(t), head.row(t + 1));
  for (auto _ : bench) {
    attention.store(count - 1, 0, head.row(count), head.row(count + 1));
    attention.attend(head.out, scratch, count - 1, 0, head.row(7));
    benchmark::DoNotOptimize(head.values.data());
  }
  bench.counters["positions"] = CausalAttention::positions_attended(count - 1);
  bench.counters["state_bytes"] = static_cast<double>(state.size());
}

void run_window(benchmark::State& bench) {
  const auto count = static_cast<std::uint32_t>(bench.range(0));
  const SlidingWindowShape shape = {1, 1, kHeadSize, 256, 4};
  Head head;
  std::vector<std::byte> state(SlidingWindowAttention::state_bytes(shape));
  std::vector<std::uint32_t> scratch(SlidingWindowAttention::scratch_count(shape));
  SlidingWindowAttention attention(shape, state);
  for (std::uint32_t t = 0; t < count; ++t) attention.store(t, 0, head.row(t), head.row(t + 1));
  for (auto _ : bench) {
    attention.store(count - 1, 0, head.row(count), head.row(count + 1));
    attention.attend(head.out, scratch, count - 1, 0, head.row(7));
    benchmark::DoNotOptimize(head.values.data());
  }
  bench.counters["positions"] = SlidingWindowAttention::positions_attended(shape, count - 1);
  bench.counters["state_bytes"] = static_cast<double>(state.size());
}

void run_linear(benchmark::State& bench) {
  const auto count = static_cast<std::uint32_t>(bench.range(0));
  const LinearShape shape = {1, 1, kHeadSize};
  Head head;
  std::vector<std::uint64_t> memory(LinearAttention::state_bytes(shape) / 8);
  LinearAttention attention(shape, std::as_writable_bytes(std::span(memory)));
  attention.reset();
  for (std::uint32_t t = 0; t < count; ++t) attention.update(0, head.row(t), head.row(t + 1));
  for (auto _ : bench) {
    attention.update(0, head.row(count), head.row(count + 1));
    attention.attend(head.out, 0, head.row(7));
    benchmark::DoNotOptimize(head.values.data());
  }
  bench.counters["multiplies"] = static_cast<double>(LinearAttention::multiplies_per_token(shape));
  bench.counters["state_bytes"] = static_cast<double>(LinearAttention::state_bytes(shape));
}

BENCHMARK(run_causal)->RangeMultiplier(4)->Range(64, 16384);
BENCHMARK(run_window)->RangeMultiplier(4)->Range(64, 16384);
BENCHMARK(run_linear)->RangeMultiplier(4)->Range(64, 16384);

}  // namespace
}  // namespace mote

BENCHMARK_MAIN();
