// SPDX-License-Identifier: Apache-2.0
// Small made-up models in GGUF and as the files of a Hugging Face folder, for tests and fuzz seeds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convert/checkpoint.hpp"
#include "gguf/gguf_blocks.hpp"
#include "support/gguf_writer.hpp"
#include "support/llama2c_writer.hpp"

namespace mote::test {

/// The shape needs columns that are multiples of the type's block.
struct NamedModel {
  std::string architecture = "llama";  // or "qwen2"
  host::CheckpointShape shape = {.dim = 8,
                                 .hidden_dim = 12,
                                 .n_layers = 2,
                                 .n_heads = 2,
                                 .n_kv_heads = 1,
                                 .head_size = 4,
                                 .vocab_size = 10,
                                 .context_length = 16};
  host::GgufType type = host::GgufType::f32;  // of the matrices; vectors are F32
  std::uint32_t gguf_version = 3;
  std::uint64_t seed = 1;
  /// In GGUF: 256 bytes, "<|endoftext|>" (256, the end), "<|im_start|>", "<|im_end|>", "ab" and
  /// unused tokens; vocab_size is at least 260. Else SentencePiece's.
  bool byte_level = false;
};

/// What a right reader delivers for the types F32, F16 and BF16: a multiple of 1/128, -1 to 1 for
/// weights and biases, 0.75 to 1.25 for gains.
float named_weight(const NamedModel& model, host::TensorName tensor, std::uint32_t layer,
                   std::uint64_t row, std::uint64_t column);

/// Metadata and vocabulary.
void add_gguf_metadata(GgufWriter& writer, const NamedModel& model);
/// A writer that holds metadata, vocabulary and tensors, so that a test can add to them.
GgufWriter begin_gguf(const NamedModel& model);
std::vector<std::uint8_t> write_gguf(const NamedModel& model);

std::string write_huggingface_config(const NamedModel& model);
/// All tensors; with `shards` > 1 those whose place in the list is `shard` modulo `shards`.
std::vector<std::uint8_t> write_safetensors(const NamedModel& model, std::size_t shard = 0,
                                            std::size_t shards = 1);

/// Names and texts of the vocabulary: unknown, beginning, end, 256 bytes where there is room, then
/// a space and letters.
std::vector<std::string> named_vocabulary(std::uint32_t vocab_size);

std::vector<Seed> gguf_seeds();
/// Input of fuzz_tokenizer_json: the size of the vocabulary beyond 256, tokenizer.json.
std::vector<Seed> tokenizer_json_seeds();
/// Input of fuzz_safetensors: u16 length of config.json, config.json, a safetensors file.
std::vector<Seed> safetensors_seeds();

}  // namespace mote::test
