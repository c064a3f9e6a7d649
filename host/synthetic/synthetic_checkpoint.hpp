// SPDX-License-Identifier: Apache-2.0
// Models of any shape with random weights: for benchmarks, for tests and for the signature.
#pragma once

#include <cstdint>
#include <string>

#include "convert/checkpoint.hpp"
#include "convert/vocabulary.hpp"

namespace mote::host {

/// Weights are a function of seed, tensor, layer and row alone: a sum of uniform integers (so
/// nearly normal) times a power of two near 1 / sqrt(columns). Gains are near one.
class SyntheticCheckpoint : public Checkpoint {
 public:
  SyntheticCheckpoint(const CheckpointShape& shape, std::uint64_t seed)
      : shape_(shape), seed_(seed) {}

  const CheckpointShape& shape() const override { return shape_; }
  std::string format() const override { return "synthetic"; }
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override;

 private:
  CheckpointShape shape_;
  std::uint64_t seed_ = 0;
};

/// Unknown, beginning and end token, 256 byte tokens where there is room, then pieces of letters.
Vocabulary make_synthetic_vocabulary(std::uint32_t vocab_size);

}  // namespace mote::host
