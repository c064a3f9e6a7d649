// SPDX-License-Identifier: Apache-2.0
// Rounding lane by lane, each making up for the errors of those before it: GPTQ (Frantar,
// Ashkboos, Hoefler and Alistarh, 2022), in the form of a feedback from earlier errors (Chee, Cai,
// Kuleshov and De Sa, "QuIP", 2023), which gives the same numbers without inverting the Hessian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "calibrate/dense_matrix.hpp"

namespace mote::host {

/// round(value) to the nearest integer of low..high, halves away from zero.
int round_to_range(double value, int low, int high);

/// The order in which the lanes of a Hessian are rounded, those with the largest diagonal first,
/// and what each takes over from the errors before it.
struct Feedback {
  std::vector<std::size_t> order;  // (n)
  DenseMatrix shares;  // (n, n): row p has p numbers, of the errors of lanes order[0..p)
};

/// With `hessian` = M M^T, M upper triangular in the order of rounding, the error e of a row costs
/// e^T H e = sum over p of (M_pp (e_p + sum over i < p of M_ip / M_pp e_i))^2: a lane that is
/// rounded after adding up its shares of the errors so far makes its term as small as it can be.
///   hessian (n, n), symmetric, positive definite
Feedback make_feedback(const DenseMatrix& hessian);

/// Rounds a row to multiples of each lane's unit. A unit of 0 gives 0.
///   values (n), target (n), units (n); scratch grows to n
void round_with_feedback(std::span<std::int8_t> values, std::span<const double> target,
                         std::span<const double> units, const Feedback& feedback, int low, int high,
                         std::vector<double>& scratch);

/// e^T H e. // error (n)
double quadratic_form(const DenseMatrix& hessian, std::span<const double> error);

}  // namespace mote::host
