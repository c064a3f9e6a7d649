// SPDX-License-Identifier: Apache-2.0
// What the metadata of a GGUF file says of the model, and what of it an image can have.
#pragma once

#include <cstdint>
#include <string>

#include "convert/checkpoint.hpp"
#include "convert/stored_tensors.hpp"
#include "gguf/gguf_file.hpp"

namespace mote::host {

struct GgufModel {
  std::string architecture;  // "llama" or "qwen2"
  RopeOrder rope_order{};
  CheckpointShape shape;
};

/// Reads and checks the metadata of architectures llama and qwen2. Throws `Error` that names the
/// file and the key for values that are missing or out of range, and for everything that would
/// change the arithmetic in a way that is not supported: experts, YaRN, soft caps, other scales,
/// and any key of the architecture that is not known here.
GgufModel read_gguf_model(const GgufFile& file);

}  // namespace mote::host
