// SPDX-License-Identifier: Apache-2.0
// What the config.json of a Hugging Face folder says of the model.
#pragma once

#include <string>

#include "convert/checkpoint.hpp"
#include "huggingface/json_reader.hpp"

namespace mote::host {

struct HuggingfaceModel {
  std::string model_type;  // "llama", "mistral" or "qwen2"
  bool ties_head = false;  // the token embedding serves as output head
  CheckpointShape shape;   // has_classifier and has_attention_bias depend on the tensors
};

/// Throws `Error` that names the file and the key for values that are missing or out of range, and
/// for models, activations, RoPE scalings and quantisations that are not supported.
HuggingfaceModel read_huggingface_model(const JsonReader& config);

}  // namespace mote::host
