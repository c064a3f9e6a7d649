// SPDX-License-Identifier: Apache-2.0
// The vectors that go into the matrices of a layer, as the engine itself computes them.
#pragma once

#include <cstdint>
#include <vector>

#include "calibrate/calibration_text.hpp"
#include "calibrate/hessian.hpp"
#include "mote/image.hpp"
#include "mote/transformer.hpp"

namespace mote::host {

/// Matrices that read the same vector.
enum class MatrixInput : std::uint8_t {
  attention_input,  // wq, wk, wv
  heads,            // wo
  ffn_input,        // w_gate, w_up
  hidden,           // w_down
};

/// The real lanes of one position of a vector of blocks, without its padding. // out (lanes)
void read_lanes(std::span<double> out, const BlockVectors& vectors, std::uint32_t position);

/// Divides a vector by its root mean square, as RMSNorm without gains does. // lanes (dim)
void normalize(std::span<double> lanes, const ModelConfig& config);

/// Runs the text through both models and gathers the vectors that go into `input` of `layer` (from
/// 0), the last layer of both. `rounded` is the model so far, `exact` the reference.
InputStatistics gather_inputs(const Image& rounded, const Image& exact, const CalibrationText& text,
                              std::uint32_t layer, MatrixInput input);

/// The same for the classifier's input, the final norm with its gains, of whole models.
InputStatistics gather_final_inputs(const Image& rounded, const Image& exact,
                                    const CalibrationText& text);

}  // namespace mote::host
