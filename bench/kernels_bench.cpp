// SPDX-License-Identifier: Apache-2.0
// Speed of the matrix-vector product at shapes of small models: weight bytes and multiply-
// accumulates per second.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "kernels/matvec.hpp"

namespace mote {
namespace {

/// A matrix and a vector with memory of their own; every bit pattern is a valid number.
struct Product {
  std::vector<std::uint8_t> weights;
  std::vector<Scale16> row_scales;
  std::vector<std::uint8_t> factors;
  std::vector<std::int8_t> lanes;
  std::vector<std::uint32_t> scales;
  MatrixView matrix;
  ActivationView x;
};

template <typename T>
std::vector<T> random_numbers(std::mt19937& random, std::size_t count) {
  std::vector<T> numbers(count);
  for (T& number : numbers) number = static_cast<T>(random());
  return numbers;
}

/// Columns are rounded up to whole blocks, as in an image.
Product make_product(WeightFormat format, std::uint32_t rows, std::uint32_t columns,
                     std::uint32_t block) {
  std::mt19937 random(1);
  Product p;
  MatrixView& m = p.matrix;
  m.rows = rows;
  m.columns = (columns + block - 1) / block * block;
  m.block = block;
  m.format = format;
  m.exponent = -38;
  p.weights = random_numbers<std::uint8_t>(random, std::size_t{rows} * m.row_bytes());
  p.row_scales.assign(rows, Scale16{0x4321});
  p.lanes = random_numbers<std::int8_t>(random, m.columns);
  p.scales.assign(m.blocks(), 1U << 26);
  m.weights = p.weights.data();
  m.row_scales = p.row_scales.data();
  if (format == WeightFormat::int4) {
    p.factors = random_numbers<std::uint8_t>(random, std::size_t{rows} * m.blocks());
    m.block_factors = p.factors.data();
  }
  p.x = {p.lanes.data(), p.scales.data(), {1U << 19, -19}};
  return p;
}

/// Arguments: rows, columns, block.
template <WeightFormat format>
void matvec(benchmark::State& state) {
  const Product p = make_product(format, static_cast<std::uint32_t>(state.range(0)),
                                 static_cast<std::uint32_t>(state.range(1)),
                                 static_cast<std::uint32_t>(state.range(2)));
  std::vector<std::int32_t> out(p.matrix.rows);
  for (auto _ : state) {
    matvec_s8_s32(out.data(), p.matrix, p.x, 16);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  const auto products = static_cast<std::int64_t>(p.matrix.rows) * p.matrix.columns;
  const std::size_t bytes = p.weights.size() + p.factors.size();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(state.iterations() * products);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "columns", "block"});
  bench->Args({64, 64, 32});    // wq of stories260K
  bench->Args({64, 64, 8});     // its wo, whose blocks are heads
  bench->Args({64, 172, 32});   // its w_down, padded to 192 columns
  bench->Args({172, 64, 32});   // its w_gate
  bench->Args({288, 768, 32});  // w_down and w_gate of stories15M
  bench->Args({768, 288, 32});
  bench->Args({768, 288, 16});
}

BENCHMARK(matvec<WeightFormat::int8>)->Name("matvec_int8")->Apply(shapes);
BENCHMARK(matvec<WeightFormat::int4>)->Name("matvec_int4")->Apply(shapes);

}  // namespace
}  // namespace mote
