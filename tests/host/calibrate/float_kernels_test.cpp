// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "support/each_kernel_set.hpp"
#include "support/random.hpp"

namespace mote::host {
namespace {

using Floats = std::vector<float>;

Floats random_floats(test::Random& random, std::size_t count, double scale = 1) {
  Floats out(count);
  for (float& number : out) number = static_cast<float>(scale * random.normal());
  return out;
}

std::vector<std::uint32_t> bits_of(const Floats& numbers) {
  std::vector<std::uint32_t> bits;
  for (const float number : numbers) bits.push_back(std::bit_cast<std::uint32_t>(number));
  return bits;
}

const FloatKernels& portable() {
  return *runnable_float_kernels().front();
}

/// Calls visit(kernels) for each set that this computer runs; a failure names it.
template <typename Visit>
void for_each_set(const Visit& visit) {
  for (const FloatKernels* kernels : runnable_float_kernels()) {
    SCOPED_TRACE(std::string(kernels->name));
    visit(*kernels);
  }
}

TEST(FloatKernels, the_set_in_use_is_that_of_the_engine) {
  EXPECT_EQ(portable().name, "portable");
  test::use_each_kernel_set([](const KernelSet& set) {
    const bool has_float = set.name == "avx2" || set.name == "avx512";
    EXPECT_EQ(float_kernels().name, has_float ? set.name : "portable");
  });
}

/// Shapes around the tiles of every set, with strides wider than the rows.
TEST(FloatKernels, products_are_the_same_bits_and_near_those_of_doubles) {
  test::Random random(31);
  for (const std::size_t rows : {1U, 3U, 4U, 9U, 17U}) {
    for (const std::size_t columns : {1U, 2U, 7U, 8U, 15U, 31U, 32U, 63U}) {
      const std::size_t inner = 1 + random.below(40);
      const std::size_t stride = columns + random.below(3);
      const Floats a = random_floats(random, rows * inner);
      const Floats b = random_floats(random, inner * stride);
      const Floats before = random_floats(random, rows * stride);
      const bool turned = random.below(2) == 0;
      const FloatView view = turned ? FloatView{a.data(), 1, rows} : FloatView{a.data(), inner, 1};
      Floats wanted;
      for_each_set([&](const FloatKernels& kernels) {
        Floats out = before;
        kernels.add_product({out.data(), stride}, view, {b.data(), stride}, {rows, inner, columns});
        if (wanted.empty()) wanted = out;
        EXPECT_EQ(bits_of(out), bits_of(wanted));
        for (std::size_t at = 0; at < out.size(); ++at) {
          double sum = static_cast<double>(before[at]);
          for (std::size_t i = 0; at % stride < columns && i < inner; ++i) {
            const float factor = view.data[at / stride * view.row_stride + i * view.column_stride];
            sum += double{factor} * double{b[i * stride + at % stride]};
          }
          ASSERT_NEAR(double{out[at]}, sum, 1e-4) << "cell " << at;
        }
      });
    }
  }
}

TEST(FloatKernels, sums_and_the_largest_are_the_same_bits) {
  test::Random random(32);
  for (std::size_t count = 1; count < 70; ++count) {
    const Floats a = random_floats(random, count);
    const Floats b = random_floats(random, count);
    double sum = 0;
    double dot = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sum += double{a[i]};
      dot += double{a[i]} * double{b[i]};
    }
    for_each_set([&](const FloatKernels& kernels) {
      EXPECT_EQ(kernels.largest(a.data(), count), *std::max_element(a.begin(), a.end()));
      EXPECT_EQ(
          bits_of({kernels.sum(a.data(), count), kernels.dot(a.data(), b.data(), count)}),
          bits_of({portable().sum(a.data(), count), portable().dot(a.data(), b.data(), count)}));
      EXPECT_NEAR(double{kernels.sum(a.data(), count)}, sum, 1e-4);
      EXPECT_NEAR(double{kernels.dot(a.data(), b.data(), count)}, dot, 1e-4);
    });
  }
}

TEST(FloatKernels, exponentials_and_swiglu_are_the_same_bits) {
  test::Random random(33);
  for (const std::size_t count : {1U, 5U, 16U, 33U, 70U}) {
    const Floats gate = random_floats(random, count, 20);
    const Floats up = random_floats(random, count);
    const Floats hidden_gradient = random_floats(random, count);
    std::vector<std::uint32_t> wanted;
    for_each_set([&](const FloatKernels& kernels) {
      Floats powers = gate;
      kernels.exponentials(powers.data(), 0.5F, count);
      Floats hidden(count);
      kernels.swiglu(hidden.data(), gate.data(), up.data(), count);
      Floats gate_gradient(count);
      Floats up_gradient = hidden_gradient;
      kernels.swiglu_back(gate_gradient.data(), up_gradient.data(), gate.data(), up.data(), count);
      std::vector<std::uint32_t> bits;
      for (const Floats& part : {powers, hidden, gate_gradient, up_gradient}) {
        const auto found = bits_of(part);
        bits.insert(bits.end(), found.begin(), found.end());
      }
      if (wanted.empty()) wanted = bits;
      EXPECT_EQ(bits, wanted);
      for (std::size_t i = 0; i < count; ++i) {
        const double power = std::exp(double{gate[i] - 0.5F});
        EXPECT_NEAR(double{powers[i]}, power, 4e-7 * power);
        const double silu = double{gate[i]} / (1 + std::exp(-double{gate[i]}));
        EXPECT_NEAR(double{hidden[i]}, silu * double{up[i]}, 1e-4);
        EXPECT_NEAR(double{up_gradient[i]}, silu * double{hidden_gradient[i]}, 1e-4);
      }
    });
  }
}

}  // namespace
}  // namespace mote::host
