// SPDX-License-Identifier: Apache-2.0
// Reads the files of karpathy/llama2.c: legacy, version 1 (fp32) and version 2 (int8 in groups).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "convert/checkpoint.hpp"
#include "convert/llama2c_layout.hpp"

namespace mote::host {

/// A view of a llama2.c file: the bytes must outlive it. They may begin at any address. The files
/// name neither epsilon nor RoPE base; llama2.c fixes them at 1e-5 and 10000.
class Llama2cCheckpoint : public Checkpoint {
 public:
  /// Throws `Error` that begins with `path` where the bytes are no llama2.c file.
  Llama2cCheckpoint(std::span<const std::uint8_t> bytes, const std::string& path)
      : layout_(read_llama2c_layout(bytes, path)), bytes_(bytes) {}

  const CheckpointShape& shape() const override { return layout_.shape; }
  std::string format() const override;
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override;

 private:
  Llama2cLayout layout_;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace mote::host
