// SPDX-License-Identifier: Apache-2.0
// The normative kernel against an independent one, written lane by lane from SPEC.md and
// docs/NUMERICS.md in 128 bits, and against double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <vector>

#include "kernels/matvec.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::half_up_saturated;
using test::Int128;
using test::Random;
using test::real;
using test::Worst;

/// A matrix and a vector with memory of their own.
struct Case {
  std::vector<std::uint8_t> weights;
  std::vector<Scale16> row_scales;
  std::vector<std::uint8_t> factors;
  std::vector<std::int8_t> x;
  std::vector<Scale16> x_scales;
  std::vector<std::uint32_t> aligned;
  MatrixView matrix;
  ActivationView view;

  void bind() {
    matrix.weights = weights.data();
    matrix.row_scales = row_scales.data();
    matrix.block_factors = factors.empty() ? nullptr : factors.data();
    view.values = x.data();
    aligned.resize(x_scales.size());
    view.factor.exponent += align_scales(aligned.data(), x_scales);
    view.scales = aligned.data();
  }
};

struct Shape {
  std::uint32_t rows = 1;
  std::uint32_t blocks = 1;
  std::uint32_t block = 32;
  WeightFormat format = WeightFormat::int8;
};

/// Every number drawn by a function of its own, so that a test can replace one of them.
struct Draw {
  std::function<std::uint8_t(Random&)> weight = [](Random& r) {
    return static_cast<std::uint8_t>(r.next());
  };
  std::function<std::int8_t(Random&)> lane = [](Random& r) {
    return r.between<std::int8_t>(-127, 127);
  };
  std::function<Scale16(Random&)> row_scale = [](Random& r) {
    return Scale16{r.between<std::uint16_t>(0x3000, 0x5000)};
  };
  std::function<Scale16(Random&)> lane_scale = [](Random& r) {
    return Scale16{r.between<std::uint16_t>(0x6000, 0x8000)};
  };
  std::uint32_t factor_mantissa = 1U << 19;
  int factor_exponent = -19;
  int matrix_exponent = -38;
};

Case make_case(Random& random, const Shape& shape, const Draw& draw) {
  Case c;
  c.matrix.rows = shape.rows;
  c.matrix.columns = shape.blocks * shape.block;
  c.matrix.block = shape.block;
  c.matrix.format = shape.format;
  c.matrix.exponent = draw.matrix_exponent;
  c.weights.resize(std::size_t{shape.rows} * c.matrix.row_bytes());
  std::ranges::generate(c.weights, [&] { return draw.weight(random); });
  c.row_scales.resize(shape.rows);
  std::ranges::generate(c.row_scales, [&] { return draw.row_scale(random); });
  if (shape.format == WeightFormat::int4) {
    c.factors.resize(std::size_t{shape.rows} * shape.blocks);
    std::ranges::generate(c.factors, [&] { return static_cast<std::uint8_t>(random.next()); });
  }
  c.x.resize(c.matrix.columns);
  std::ranges::generate(c.x, [&] { return draw.lane(random); });
  c.x_scales.resize(shape.blocks);
  std::ranges::generate(c.x_scales, [&] { return draw.lane_scale(random); });
  c.view.factor = {draw.factor_mantissa, draw.factor_exponent};
  c.bind();
  return c;
}

/// One weight without its row scale, as SPEC.md stores it.
int stored_weight(const MatrixView& m, std::uint32_t row, std::uint32_t column) {
  if (m.format != WeightFormat::int4) {
    const int byte = m.weights[std::size_t{row} * m.columns + column];
    if (m.format == WeightFormat::int8_pairs && column % 2 == 0) return byte - 128;
    return static_cast<std::int8_t>(byte);
  }
  const std::uint32_t b = column / m.block;
  const std::uint32_t j = column % m.block;
  const std::uint32_t half = m.block / 2;
  const std::size_t byte = std::size_t{row} * m.columns / 2 + b * half + j % half;
  const int nibble = j < half ? m.weights[byte] & 15 : m.weights[byte] >> 4;
  return (nibble - 8) * m.block_factors[std::size_t{row} * (m.columns / m.block) + b];
}

/// A block's scale in units of 2^(e - 15), e that of the largest, rounded down.
std::int64_t specified_alignment(const std::vector<Scale16>& scales, std::size_t b) {
  int largest = 0;
  for (const Scale16 scale : scales) largest = std::max(largest, scale.exponent());
  return static_cast<std::int64_t>((Int128{scales[b].value()} << 15) >> largest);
}

/// Counts rows that are not the exact sum rounded once.
int count_wrong_rows(const Case& c, int fraction_bits) {
  const MatrixView& m = c.matrix;
  std::vector<std::int64_t> scales(c.x_scales.size());
  for (std::size_t b = 0; b < scales.size(); ++b) scales[b] = specified_alignment(c.x_scales, b);
  std::vector<std::int32_t> out(m.rows);
  ref::matvec_s8_s32(out.data(), m, c.view, fraction_bits);
  int wrong = 0;
  for (std::uint32_t r = 0; r < m.rows; ++r) {
    Int128 sum = 0;
    for (std::uint32_t i = 0; i < m.columns; ++i) {
      sum += Int128{stored_weight(m, r, i)} * c.x[i] * scales[i / m.block];
    }
    sum *= Int128{m.row_scales[r].mantissa()} * c.view.factor.mantissa;
    const int shift =
        -(m.row_scales[r].exponent() + m.exponent + c.view.factor.exponent + fraction_bits);
    wrong += out[r] != half_up_saturated(sum, shift) ? 1 : 0;
  }
  return wrong;
}

const std::vector<std::uint32_t> kBlocks = {2, 4, 8, 16, 32, 64};
const std::vector<WeightFormat> kFormats = {WeightFormat::int8, WeightFormat::int4,
                                            WeightFormat::int8_pairs};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const WeightFormat format : kFormats) {
    for (const std::uint32_t block : kBlocks) {
      for (const std::uint32_t blocks : {1U, 2U, 3U, 7U}) {
        for (const std::uint32_t rows : {1U, 3U, 5U}) all.push_back({rows, blocks, block, format});
      }
    }
  }
  return all;
}

int count_wrong(const Draw& draw, std::uint64_t seed) {
  Random random(seed);
  int wrong = 0;
  for (const Shape& shape : shapes()) {
    const Case c = make_case(random, shape, draw);
    for (const int fraction_bits : {8, 20}) wrong += count_wrong_rows(c, fraction_bits);
  }
  return wrong;
}

TEST(MatvecRef, random) {
  EXPECT_EQ(count_wrong({}, 1), 0);
}

TEST(MatvecRef, awkward_factors_and_scales_of_all_exponents) {
  Random random(2);
  for (int i = 0; i < 40; ++i) {
    Draw draw;
    draw.row_scale = [](Random& r) { return Scale16{static_cast<std::uint16_t>(r.next())}; };
    draw.lane_scale = draw.row_scale;
    draw.factor_mantissa = std::min(1U << 20, static_cast<std::uint32_t>(1 + random.awkward(20)));
    draw.factor_exponent = random.between<int>(-60, 20);
    draw.matrix_exponent = random.between<int>(-60, 20);
    ASSERT_EQ(count_wrong(draw, random.next()), 0) << i;
  }
}

// Each sum lies around the output's range, where one wrong bit is a wrong result.
TEST(MatvecRef, small_scales_lose_nothing) {
  Draw draw;
  draw.row_scale = [](Random& r) { return Scale16{r.between<std::uint16_t>(0, 300)}; };
  draw.lane_scale = draw.row_scale;
  draw.factor_mantissa = 1;
  for (int exponent = -30; exponent <= 30; exponent += 2) {
    draw.factor_exponent = exponent;
    draw.matrix_exponent = 0;
    ASSERT_EQ(count_wrong(draw, 3), 0) << exponent;
  }
}

TEST(MatvecRef, extremes) {
  for (const int lane : {-127, 127}) {
    for (const int weight : {0x00, 0x7f, 0x80, 0x88, 0xff}) {
      for (const int scale : {0x0000, 0x0001, 0x07ff, 0x0800, 0xffff}) {
        Draw draw;
        draw.weight = [=](Random&) { return static_cast<std::uint8_t>(weight); };
        draw.lane = [=](Random&) { return static_cast<std::int8_t>(lane); };
        draw.lane_scale = [=](Random&) { return Scale16{static_cast<std::uint16_t>(scale)}; };
        draw.row_scale = [=](Random& r) {
          return Scale16{static_cast<std::uint16_t>(r.next() % 4 == 0 ? 0 : 0xffffU)};
        };
        ASSERT_EQ(count_wrong(draw, 4), 0) << lane << ' ' << weight << ' ' << scale;
      }
    }
  }
}

// 65,536 columns of the largest products: the accumulator's widest case.
TEST(MatvecRef, widest_sum_fits) {
  Random random(5);
  for (const WeightFormat format : kFormats) {
    for (const std::uint32_t block : {16U, 64U}) {
      Draw draw;
      // Odd lanes of int8_pairs and all of the others are at their lowest.
      const bool is_int4 = format == WeightFormat::int4;
      draw.weight = [=](Random&) { return static_cast<std::uint8_t>(is_int4 ? 0x00 : 0x80); };
      draw.lane = [](Random&) { return static_cast<std::int8_t>(127); };
      draw.lane_scale = [](Random&) { return Scale16{kScale16Max}; };
      draw.matrix_exponent = -50;
      Case c = make_case(random, {1, 65536 / block, block, format}, draw);
      std::ranges::fill(c.factors, std::uint8_t{255});
      EXPECT_EQ(count_wrong_rows(c, 16), 0);
    }
  }
}

/// The worst row's error beyond half a unit of the output and, for each lane, one unit of the
/// aligned scales where `aligned_unit` is not zero.
double worst_excess(const Case& c, int fraction_bits, double aligned_unit) {
  const MatrixView& m = c.matrix;
  std::vector<std::int32_t> out(m.rows);
  ref::matvec_s8_s32(out.data(), m, c.view, fraction_bits);
  Worst worst;
  for (std::uint32_t r = 0; r < m.rows; ++r) {
    double exact = 0;
    double size = 0;
    for (std::uint32_t i = 0; i < m.columns; ++i) {
      const double product = stored_weight(m, r, i) * c.x[i];
      exact += product * real(c.x_scales[i / m.block]);
      size += std::abs(product);
    }
    const double unit =
        std::ldexp(static_cast<double>(m.row_scales[r].value()), m.exponent + fraction_bits);
    const double limited = std::clamp(exact * unit, -2147483648.0, 2147483647.0);
    // 2^-40 is for the doubles.
    const double bound = 0.5 + size * aligned_unit * unit + std::ldexp(std::abs(limited), -40);
    worst.offer(std::abs(out[r] - limited) - bound, r);
  }
  return worst.value;
}

TEST(MatvecRef, is_within_half_a_unit_of_double_where_scales_are_within_2_to_the_15) {
  Random random(6);
  Draw draw;
  draw.lane_scale = [](Random& r) { return Scale16{r.between<std::uint16_t>(0x4800, 0xc000)}; };
  draw.matrix_exponent = -44;
  for (const Shape& shape : shapes()) {
    EXPECT_LE(worst_excess(make_case(random, shape, draw), 26, 0), 0);
  }
}

TEST(MatvecRef, is_within_the_alignment_of_double_for_all_scales) {
  Random random(10);
  Draw draw;
  draw.lane_scale = [](Random& r) { return Scale16{static_cast<std::uint16_t>(r.next())}; };
  draw.matrix_exponent = -58;
  for (const Shape& shape : shapes()) {
    const Case c = make_case(random, shape, draw);
    EXPECT_LE(worst_excess(c, 26, real(c.view.factor)), 0);
  }
}

TEST(MatvecRef, slice_gives_the_same_rows) {
  Random random(7);
  for (const Shape& shape : shapes()) {
    const Case c = make_case(random, shape, {});
    std::vector<std::int32_t> whole(shape.rows);
    ref::matvec_s8_s32(whole.data(), c.matrix, c.view, 16);
    for (std::uint32_t first = 0; first < shape.rows; ++first) {
      const std::uint32_t count = shape.rows - first;
      std::vector<std::int32_t> part(count);
      ref::matvec_s8_s32(part.data(), c.matrix.slice(first, count), c.view, 16);
      ASSERT_TRUE(std::ranges::equal(part, std::span(whole).subspan(first)));
    }
  }
}

TEST(MatvecRef, pairs_give_the_bits_of_int8) {
  Random random(11);
  for (Shape shape : shapes()) {
    if (shape.format != WeightFormat::int8) continue;
    Case c = make_case(random, shape, {});
    std::vector<std::int32_t> plain(shape.rows);
    ref::matvec_s8_s32(plain.data(), c.matrix, c.view, 16);
    for (std::size_t i = 0; i < c.weights.size(); i += 2) c.weights[i] += 128;
    c.matrix.format = WeightFormat::int8_pairs;
    std::vector<std::int32_t> pairs(shape.rows);
    ref::matvec_s8_s32(pairs.data(), c.matrix, c.view, 16);
    ASSERT_EQ(pairs, plain);
  }
}

TEST(AlignScales, follows_the_rule) {
  Random random(8);
  int wrong = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<Scale16> scales(1 + random.below(9));
    for (Scale16& scale : scales) scale.bits = static_cast<std::uint16_t>(random.next());
    std::vector<std::uint32_t> out(scales.size());
    const int unit = align_scales(out.data(), scales);
    int largest = 0;
    for (std::size_t b = 0; b < scales.size(); ++b) {
      largest = std::max(largest, scales[b].exponent());
      wrong += out[b] != specified_alignment(scales, b) || out[b] >= 1U << 27 ? 1 : 0;
    }
    wrong += unit != largest - 15 - kScaleFractionBits ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

int count_wrong_lanes(const Case& c, int fraction_bits) {
  const MatrixView& m = c.matrix;
  int wrong = 0;
  for (std::uint32_t r = 0; r < m.rows; ++r) {
    const int shift = -(m.row_scales[r].exponent() + m.exponent + fraction_bits);
    for (const std::uint32_t first : {0U, 1U, m.columns / 2}) {
      std::vector<std::int32_t> out(m.columns - first);
      dequantize_row(out, m, r, first, fraction_bits);
      for (std::uint32_t i = 0; i < out.size(); ++i) {
        const Int128 exact = Int128{stored_weight(m, r, first + i)} * m.row_scales[r].mantissa();
        wrong += out[i] != half_up_saturated(exact, shift) ? 1 : 0;
      }
    }
  }
  return wrong;
}

TEST(DequantizeRow, is_exact) {
  Random random(9);
  int wrong = 0;
  for (int i = 0; i < 20; ++i) {
    Draw draw;
    draw.row_scale = [](Random& r) { return Scale16{static_cast<std::uint16_t>(r.next())}; };
    draw.matrix_exponent = random.between<int>(-60, 10);
    for (const Shape& shape : shapes()) {
      wrong += count_wrong_lanes(make_case(random, shape, draw), random.between<int>(8, 20));
    }
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace mote
