// SPDX-License-Identifier: Apache-2.0
// Products of random, extreme and odd-sized matrices, by which a kernel is compared with the
// reference. Without heap and library, so that boards run it too (ports/common/kernel_bench.cpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/matvec.hpp"
#include "mote/arena.hpp"
#include "support/random.hpp"

namespace mote::test {

/// What has the interface of matvec_s8_s32.
using Matvec = void(std::int32_t*, const MatrixView&, const ActivationView&, int);

/// How the numbers of a product are drawn.
enum class Draw : std::uint8_t {
  random,     // all bits, scales of neighbouring exponents, but in half of the cases some zero
  awkward,    // all bits, scales of all exponents
  lowest,     // weights of the lowest value, lanes 127, all scales at their limit
  highest,    // weights of the highest value, lanes -127, all scales at their limit
  alternate,  // weights and lanes at both ends by turns, all scales at their limit
  usual,      // as images have them: scales of blocks near each other, those of rows near their
              // limit, but for some; the last lanes are zero
};
inline constexpr std::array kDraws = {Draw::random,  Draw::awkward,   Draw::lowest,
                                      Draw::highest, Draw::alternate, Draw::usual};

struct MatvecShape {
  std::uint32_t rows = 1;
  std::uint32_t blocks = 1;
  std::uint32_t block = 32;
  WeightFormat format = WeightFormat::int8;
};

/// Memory that the largest shape of for_each_matvec_shape takes.
inline constexpr std::size_t kMatvecCaseBytes = 96 * 1024;

/// One product in the memory of an arena.
class MatvecCase {
 public:
  MatvecCase(std::span<std::byte> memory, Random& random, const MatvecShape& shape, Draw draw)
      : arena_(memory), random_(random), draw_(draw) {
    matrix_.rows = shape.rows;
    matrix_.columns = shape.blocks * shape.block;
    matrix_.block = shape.block;
    matrix_.format = shape.format;
    make_matrix();
    make_vector(shape.blocks);
    out_ = arena_.take<std::int32_t>(shape.rows + kGuards);
    expected_ = arena_.take<std::int32_t>(shape.rows + kGuards);
  }

  bool fits() const { return !arena_.is_exhausted(); }

  /// Rows in which `matvec` differs from the reference, and words that it has changed behind them.
  std::uint32_t count_wrong(Matvec& matvec) {
    std::ranges::fill(out_, kGuard);
    std::ranges::fill(expected_, kGuard);
    ref::matvec_s8_s32(expected_.data(), matrix_, x_, fraction_bits_);
    matvec(out_.data(), matrix_, x_, fraction_bits_);
    std::uint32_t wrong = 0;
    for (std::size_t i = 0; i < out_.size(); ++i) wrong += out_[i] != expected_[i] ? 1 : 0;
    return wrong;
  }

 private:
  static constexpr std::size_t kGuards = 4;
  static constexpr std::uint64_t kMostZeros = 40;
  static constexpr std::int32_t kGuard = 0x5a5a1234;

  bool is_extreme() const {
    return draw_ != Draw::random && draw_ != Draw::awkward && draw_ != Draw::usual;
  }

  std::uint8_t weight(std::size_t i) {
    const bool is_int4 = matrix_.format == WeightFormat::int4;
    const std::uint8_t lowest = is_int4 ? 0x00 : 0x80;
    const std::uint8_t highest = is_int4 ? 0xff : 0x7f;
    if (!is_extreme()) return static_cast<std::uint8_t>(random_.next());
    const bool is_lowest = draw_ == Draw::lowest || (draw_ == Draw::alternate && i % 2 == 0);
    const std::uint8_t flip = stored_flip(matrix_.format, static_cast<std::uint32_t>(i));
    return static_cast<std::uint8_t>((is_lowest ? lowest : highest) ^ flip);
  }
  std::int8_t lane(std::size_t i) {
    if (!is_extreme()) return random_.between<std::int8_t>(-127, 127);
    return draw_ == Draw::lowest || (draw_ == Draw::alternate && i % 2 == 0) ? 127 : -127;
  }
  Scale16 row_scale() {
    if (draw_ != Draw::usual) return scale();
    return {random_.between<std::uint16_t>(random_.below(16) == 0 ? 0 : 0xd000, 0xffff)};
  }
  Scale16 scale() {
    if (is_extreme()) return {kScale16Max};
    if (draw_ == Draw::usual) return {random_.between<std::uint16_t>(0x5000, 0x5fff)};
    if (draw_ == Draw::awkward) return {static_cast<std::uint16_t>(random_.next())};
    return {random_.between<std::uint16_t>(0x3000, 0x5000)};
  }

  void make_matrix() {
    const auto weights = arena_.take<std::uint8_t>(std::size_t{matrix_.rows} * matrix_.row_bytes());
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = weight(i);
    const auto scales = arena_.take<Scale16>(matrix_.rows);
    for (Scale16& row : scales) row = row_scale();
    matrix_.weights = weights.data();
    matrix_.row_scales = scales.data();
    if (matrix_.format != WeightFormat::int4) return;
    const auto factors = arena_.take<std::uint8_t>(std::size_t{matrix_.rows} * matrix_.blocks());
    for (std::uint8_t& factor : factors) {
      factor = is_extreme() ? 255 : static_cast<std::uint8_t>(random_.next());
    }
    matrix_.block_factors = factors.data();
  }

  void make_vector(std::uint32_t blocks) {
    const auto values = arena_.take<std::int8_t>(matrix_.columns);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = lane(i);
    if (draw_ == Draw::usual) {
      const auto most = std::min<std::uint64_t>(values.size(), kMostZeros);
      std::ranges::fill(values.last(static_cast<std::size_t>(random_.below(most + 1))),
                        std::int8_t{0});
    }
    const auto stored = arena_.take<Scale16>(blocks);
    for (Scale16& block : stored) block = scale();
    if (draw_ == Draw::random && random_.below(2) == 0) make_gaps(stored);
    const auto aligned = arena_.take<std::uint32_t>(blocks);
    const int unit = fits() ? align_scales(aligned.data(), stored) : 0;
    x_ = {values.data(), aligned.data(), {1U << 20, unit}};
    fraction_bits_ = random_.between<int>(0, 20);
    if (!is_extreme()) x_.factor.mantissa = static_cast<std::uint32_t>(1 + random_.below(1U << 20));
    choose_exponent(unit);
  }

  /// Blocks with scale 0: a run of them, all but a run, or each second, as chance has it.
  void make_gaps(std::span<Scale16> scales) {
    if (scales.empty()) return;
    const auto first = static_cast<std::size_t>(random_.below(scales.size()));
    const std::size_t end =
        first + static_cast<std::size_t>(random_.below(scales.size() - first + 1));
    const std::uint64_t kind = random_.below(3);
    for (std::size_t b = 0; b < scales.size(); ++b) {
      const bool is_inside = first <= b && b < end;
      const bool is_gap = kind == 0 ? is_inside : kind == 1 ? !is_inside : random_.below(2) == 0;
      if (is_gap) scales[b] = {};
    }
  }

  /// Brings the largest sums to 24 to 36 bits of the output, where one wrong bit is a wrong row and
  /// some rows saturate.
  void choose_exponent(int unit) {
    const int product_bits = matrix_.format == WeightFormat::int4 ? 18 : 14;
    const int sum_bits = product_bits + 27 + significant_bits(matrix_.columns);
    const bool has_large_rows = is_extreme() || draw_ == Draw::usual;
    const int row_exponent = has_large_rows ? 30 : draw_ == Draw::awkward ? 24 : 9;
    matrix_.exponent =
        random_.between<int>(24, 36) - sum_bits - 12 - 20 - row_exponent - unit - fraction_bits_;
  }

  Arena arena_;
  Random& random_;
  Draw draw_;
  MatrixView matrix_;
  ActivationView x_;
  int fraction_bits_ = 0;
  std::span<std::int32_t> out_;
  std::span<std::int32_t> expected_;
};

/// Calls visit(shape) for 1 to 17 rows of every block that an image can have, of all formats and
/// of 1 to 32 blocks; and for one row as wide as kMatvecCaseBytes allow.
template <typename Visit>
void for_each_matvec_shape(const Visit& visit) {
  for (const WeightFormat format :
       {WeightFormat::int8, WeightFormat::int4, WeightFormat::int8_pairs}) {
    for (std::uint32_t block = 2; block <= 64; block *= 2) {
      for (const std::uint32_t blocks : {1U, 2U, 3U, 4U, 7U, 8U, 32U}) {
        for (std::uint32_t rows = 1; rows <= 17; ++rows) {
          visit(MatvecShape{rows, blocks, block, format});
        }
      }
      visit(MatvecShape{1, 32768 / block / (block < 8 ? 4U : 1U), block, format});
    }
  }
}

/// Rows, over all cases, in which `matvec` differs from the reference; one more for a case that
/// does not fit `memory`.
///   every  1 for all cases, n for each n-th of them, where computing is slow
inline std::uint32_t count_wrong_rows(Matvec& matvec, std::span<std::byte> memory,
                                      std::uint64_t seed, std::uint32_t every = 1) {
  Random random(seed);
  std::uint32_t wrong = 0;
  std::uint32_t left = every;
  for_each_matvec_shape([&](const MatvecShape& shape) {
    for (const Draw draw : kDraws) {
      if (--left != 0) continue;
      left = every;
      MatvecCase product(memory, random, shape, draw);
      wrong += product.fits() ? product.count_wrong(matvec) : 1;
    }
  });
  return wrong;
}

}  // namespace mote::test
