// SPDX-License-Identifier: Apache-2.0
// One row of a matrix to the integers and scales of the image that cost its products least.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "calibrate/dense_matrix.hpp"
#include "calibrate/gptq.hpp"
#include "convert/quantize.hpp"
#include "mote/matrix.hpp"

namespace mote::host {

/// Rounds rows against one Hessian H: what is made small is e^T H e, e the row's error, which is
/// the mean square error of its products with the vectors that H was gathered from.
///
/// A row starts with scales that suit its weights lane by lane and is rounded with feedback
/// (gptq.hpp). Then it is improved until that ends: block by block, other factors are tried with
/// the block rounded anew for each against what the rest of the row has left over; lane by lane,
/// the best value is taken with all others fixed; and the row's scale is fitted. Where plain
/// rounding should still be better, it is taken.
class RowRounder {
 public:
  /// `hessian` (columns, columns) is positive definite; `block` lanes share a factor in int4.
  RowRounder(DenseMatrix hessian, std::uint32_t block, WeightFormat format);

  /// Returns e^T H e. // target (columns) finite; scales in units of 2^exponent
  double round(QuantizedRow& out, std::span<const double> target, int exponent) const;

  /// e^T H e of any rounding of `target`.
  double cost(const QuantizedRow& row, std::span<const double> target, int exponent) const;

  std::uint32_t block() const { return block_; }
  WeightFormat format() const { return format_; }

 private:
  /// Lanes that share a factor, with what is needed to round them alone.
  struct Block {
    std::size_t first = 0;
    std::size_t lanes = 0;
    DenseMatrix hessian;
    DenseMatrix lower;  // its Cholesky factor
    Feedback feedback;
  };
  /// A row on its way.
  struct Draft {
    std::span<const double> target;
    double unit = 0;                  // the row's scale
    std::vector<int> factors;         // (blocks)
    std::vector<std::int8_t> values;  // (columns)
    std::vector<double> error;        // (columns): target less rounded
    std::vector<double> pull;         // (columns): H error
    std::vector<double> lane_units;   // (columns)
    std::vector<double> scratch;
  };
  struct BlockChoice;

  double take_plain_if_better(QuantizedRow& out, double found, std::span<const double> target,
                              int exponent) const;
  void choose_scales(Draft& draft, Scale16& scale, int exponent) const;
  void set_lane_units(Draft& draft) const;
  void measure(Draft& draft) const;
  double cost(const Draft& draft) const;
  void improve_blocks(Draft& draft) const;
  void improve_block(Draft& draft, std::size_t index) const;
  bool improve_lanes(Draft& draft) const;
  bool fit_scale(Draft& draft, Scale16& scale, int exponent) const;
  void move_lane(Draft& draft, std::size_t lane, double step) const;

  DenseMatrix hessian_;
  std::uint32_t block_;
  WeightFormat format_;
  int low_;
  int high_;
  Feedback feedback_;
  std::vector<Block> blocks_;
};

}  // namespace mote::host
