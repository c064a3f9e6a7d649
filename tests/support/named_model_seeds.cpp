// SPDX-License-Identifier: Apache-2.0
// Seeds of fuzz_gguf and fuzz_safetensors.
#include "support/named_model.hpp"
#include "support/sentencepiece_writer.hpp"

namespace mote::test {
namespace {

NamedModel small_model() {
  NamedModel model;
  model.shape.dim = 4;
  model.shape.hidden_dim = 6;
  model.shape.n_layers = 1;
  model.shape.head_size = 2;
  model.shape.vocab_size = 5;
  return model;
}

/// Blocks of 32 values, sixteen heads of two lanes.
NamedModel block_model() {
  NamedModel model = small_model();
  model.type = host::GgufType::q4_0;
  model.shape.dim = 32;
  model.shape.hidden_dim = 32;
  model.shape.n_heads = 16;
  return model;
}

NamedModel biased_model() {
  NamedModel model = small_model();
  model.architecture = "qwen2";
  model.shape.has_attention_bias = true;
  model.shape.has_classifier = true;
  return model;
}

/// Metadata and vocabulary of a model with byte-level BPE, without its weights.
std::vector<std::uint8_t> byte_level_gguf() {
  NamedModel model = small_model();
  model.byte_level = true;
  model.shape.vocab_size = 261;
  GgufWriter writer;
  add_gguf_metadata(writer, model);
  return writer.file();
}

/// A model that was stretched: a window, linear scaling and factors.
std::vector<std::uint8_t> stretched_gguf() {
  GgufWriter writer = begin_gguf(small_model());
  writer.add_u32("llama.attention.sliding_window", 3);
  writer.add_string("llama.rope.scaling.type", "linear");
  writer.add_f32("llama.rope.scaling.factor", 4);
  const float factors[] = {2};
  writer.add_tensor("rope_freqs.weight", {1}, host::GgufType::f32, factors);
  return writer.file();
}

std::vector<std::uint8_t> two_files(const std::string& config,
                                    const std::vector<std::uint8_t>& tensors) {
  std::vector<std::uint8_t> bytes;
  append_bytes(bytes, config.size(), 2);
  bytes.insert(bytes.end(), config.begin(), config.end());
  bytes.insert(bytes.end(), tensors.begin(), tensors.end());
  return bytes;
}

NamedModel output_biased_model() {
  NamedModel model = small_model();
  model.shape.has_attention_bias = true;
  model.shape.has_output_bias = true;
  return model;
}

std::vector<std::uint8_t> text_bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

std::vector<std::uint8_t> safetensors_seed(const NamedModel& model, const std::string& more = "") {
  std::string config = write_huggingface_config(model);
  config.insert(1, more);
  return two_files(config, write_safetensors(model));
}

}  // namespace

std::vector<Seed> gguf_seeds() {
  NamedModel half = small_model();
  half.type = host::GgufType::f16;
  half.gguf_version = 2;
  return {{"f32", write_gguf(small_model())},
          {"f16_version2", write_gguf(half)},
          {"q4_0", write_gguf(block_model())},
          {"qwen2", write_gguf(biased_model())},
          {"llama_biases", write_gguf(output_biased_model())},
          {"byte_level", byte_level_gguf()},
          {"stretched", stretched_gguf()}};
}

std::vector<Seed> safetensors_seeds() {
  NamedModel half = small_model();
  half.type = host::GgufType::bf16;
  half.architecture = "mistral";
  return {{"llama_f32", safetensors_seed(small_model())},
          {"llama3_rope",
           safetensors_seed(small_model(), R"("rope_scaling":{"rope_type":"llama3","factor":8.0,)"
                                           R"("low_freq_factor":1.0,"high_freq_factor":4.0,)"
                                           R"("original_max_position_embeddings":8},)")},
          {"mistral_bf16", safetensors_seed(half, R"("sliding_window":3,)")},
          {"qwen2", safetensors_seed(biased_model())},
          {"llama_biases", safetensors_seed(output_biased_model())},
          {"index", two_files("", text_bytes(R"({"weight_map":{"a":"1.safetensors"}})"))},
          {"tokenizer_model", two_files("", write_sentencepiece(named_sentencepiece(8)))}};
}

}  // namespace mote::test
