// SPDX-License-Identifier: Apache-2.0
// Reads models of Hugging Face folders: config.json and safetensors, in one file or in shards.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convert/checkpoint.hpp"
#include "convert/stored_tensors.hpp"
#include "huggingface/huggingface_shape.hpp"
#include "huggingface/safetensors.hpp"

namespace mote::host {

/// A view of the files of a model, whose bytes must outlive it. The rows of wq and wk, which the
/// files keep in the order of halves ("rotate half"), are delivered interleaved.
class HuggingfaceCheckpoint : public Checkpoint {
 public:
  /// Throws `Error` that names a file where one is damaged, holds a tensor that is not known, lacks
  /// one, or the model is not supported.
  HuggingfaceCheckpoint(std::span<const std::uint8_t> config, const std::string& config_path,
                        std::span<const SafetensorsFile> files);

  /// An output head that equals the token embedding byte for byte counts as none.
  const CheckpointShape& shape() const override { return model_.shape; }
  std::string format() const override;
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override {
    tensors_.read_row(out, tensor, layer, row);
  }

 private:
  HuggingfaceModel model_;
  StoredTensors tensors_;
  std::string types_;  // of the matrices: "BF16"
  std::size_t file_count_ = 0;
};

/// Opens a folder with config.json and either model.safetensors or
/// model.safetensors.index.json and the shards that it names. The files stay mapped.
std::unique_ptr<Checkpoint> open_huggingface_folder(const std::string& folder);

/// The shards that an index names, each once, in order. Throws `Error` for names that lead out of
/// the folder.
std::vector<std::string> list_shards(std::span<const std::uint8_t> index, const std::string& path);

}  // namespace mote::host
