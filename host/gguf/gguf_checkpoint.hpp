// SPDX-License-Identifier: Apache-2.0
// Reads models of GGUF files: architectures llama and qwen2.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "convert/checkpoint.hpp"
#include "convert/stored_tensors.hpp"
#include "gguf/gguf_file.hpp"
#include "gguf/gguf_shape.hpp"

namespace mote::host {

/// A view of a GGUF file: the bytes must outlive it. They may begin at any address.
class GgufCheckpoint : public Checkpoint {
 public:
  /// Throws `Error` that begins with `path` where the file is damaged, holds a tensor that is not
  /// known, lacks one, or asks for something that is not supported.
  GgufCheckpoint(std::span<const std::uint8_t> bytes, const std::string& path);

  /// An output head that equals the token embedding byte for byte counts as none.
  const CheckpointShape& shape() const override { return model_.shape; }
  std::string format() const override;
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override {
    tensors_.read_row(out, tensor, layer, row);
  }

  /// For the vocabulary.
  const GgufFile& file() const { return file_; }

 private:
  GgufFile file_;
  GgufModel model_;
  StoredTensors tensors_;
};

}  // namespace mote::host
