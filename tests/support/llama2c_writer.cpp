// SPDX-License-Identifier: Apache-2.0
#include "support/llama2c_writer.hpp"

#include <array>
#include <cstring>
#include <utility>

namespace mote::test {
namespace {

using host::TensorName;

class ByteWriter {
 public:
  void i32(std::int64_t value) { raw(static_cast<std::int32_t>(value)); }
  void f32(float value) { raw(value); }
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void text(const std::string& text) {
    for (const char c : text) u8(static_cast<std::uint8_t>(c));
  }
  void pad_to(std::size_t size) { bytes_.resize(size); }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  template <typename Number>
  void raw(Number value) {
    std::array<std::uint8_t, sizeof value> bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);
    for (const std::uint8_t byte : bytes) u8(byte);
  }

  std::vector<std::uint8_t> bytes_;
};

/// A number that only its arguments decide (the mixing step of SplitMix64).
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t value = a * 0x9e3779b97f4a7c15U + b + 0x632be59bd9b4e019U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

std::uint64_t weight_hash(const SyntheticModel& model, TensorName tensor, std::uint32_t layer,
                          std::uint64_t index) {
  return mix(mix(mix(model.seed, static_cast<std::uint64_t>(tensor)), layer), index);
}

bool is_gain(TensorName tensor) {
  return tensor == TensorName::final_norm || tensor == TensorName::attention_norm ||
         tensor == TensorName::ffn_norm;
}

bool is_grouped(const SyntheticModel& model, TensorName tensor) {
  return model.version == 2 && !is_gain(tensor);
}

/// Values of one layer's tensor.
std::uint64_t tensor_size(const SyntheticModel& model, TensorName tensor) {
  const std::uint64_t dim = model.dim;
  if (is_gain(tensor)) return dim;
  switch (tensor) {
    case TensorName::token_embedding:
    case TensorName::classifier:
      return dim * model.vocab_size;
    case TensorName::wq:
    case TensorName::wo:
      return dim * dim;
    case TensorName::wk:
    case TensorName::wv:
      return dim * model.n_kv_heads * model.head_size();
    default:
      return dim * model.hidden_dim;
  }
}

std::int8_t group_value(std::uint64_t hash) {
  return static_cast<std::int8_t>(static_cast<int>(hash % 255) - 127);
}

float group_scale(const SyntheticModel& model, TensorName tensor, std::uint32_t layer,
                  std::uint64_t group) {
  const std::uint64_t hash = weight_hash(model, tensor, layer, group + 0x10000000U);
  return static_cast<float>(1 + hash % 1000) * 0x1p-16F;
}

void write_tensor(ByteWriter& out, const SyntheticModel& model, TensorName tensor,
                  std::uint32_t layer) {
  const std::uint64_t size = tensor_size(model, tensor);
  if (!is_grouped(model, tensor)) {
    for (std::uint64_t i = 0; i < size; ++i) out.f32(synthetic_weight(model, tensor, layer, i));
    return;
  }
  for (std::uint64_t i = 0; i < size; ++i) {
    out.u8(static_cast<std::uint8_t>(group_value(weight_hash(model, tensor, layer, i))));
  }
  for (std::uint64_t group = 0; group < size / model.group_size; ++group) {
    out.f32(group_scale(model, tensor, layer, group));
  }
}

void write_layers(ByteWriter& out, const SyntheticModel& model, TensorName tensor) {
  for (std::uint32_t layer = 0; layer < model.n_layers; ++layer) {
    write_tensor(out, model, tensor, layer);
  }
}

void write_shape(ByteWriter& out, const SyntheticModel& model, bool negative_vocabulary) {
  out.i32(model.dim);
  out.i32(model.hidden_dim);
  out.i32(model.n_layers);
  out.i32(model.n_heads);
  out.i32(model.n_kv_heads);
  out.i32(negative_vocabulary ? -std::int64_t{model.vocab_size} : model.vocab_size);
  out.i32(model.context_length);
}

void write_legacy(ByteWriter& out, const SyntheticModel& model) {
  write_shape(out, model, model.has_classifier);
  write_tensor(out, model, TensorName::token_embedding, 0);
  write_layers(out, model, TensorName::attention_norm);
  write_layers(out, model, TensorName::wq);
  write_layers(out, model, TensorName::wk);
  write_layers(out, model, TensorName::wv);
  write_layers(out, model, TensorName::wo);
  write_layers(out, model, TensorName::ffn_norm);
  write_layers(out, model, TensorName::w_gate);
  write_layers(out, model, TensorName::w_down);
  write_layers(out, model, TensorName::w_up);
  write_tensor(out, model, TensorName::final_norm, 0);
  const std::uint32_t table_size = model.context_length * (model.head_size() / 2);
  for (std::uint32_t i = 0; i < 2 * table_size; ++i) out.f32(777);  // cosines, then sines
  if (model.has_classifier) write_tensor(out, model, TensorName::classifier, 0);
}

void write_versioned(ByteWriter& out, const SyntheticModel& model) {
  out.i32(0x616b3432);
  out.i32(model.version);
  write_shape(out, model, false);
  out.u8(model.has_classifier ? 0 : 1);
  if (model.version == 2) out.i32(model.group_size);
  out.pad_to(256);
  write_layers(out, model, TensorName::attention_norm);
  write_layers(out, model, TensorName::ffn_norm);
  write_tensor(out, model, TensorName::final_norm, 0);
  write_tensor(out, model, TensorName::token_embedding, 0);
  write_layers(out, model, TensorName::wq);
  write_layers(out, model, TensorName::wk);
  write_layers(out, model, TensorName::wv);
  write_layers(out, model, TensorName::wo);
  write_layers(out, model, TensorName::w_gate);
  write_layers(out, model, TensorName::w_down);
  write_layers(out, model, TensorName::w_up);
  if (model.has_classifier) write_tensor(out, model, TensorName::classifier, 0);
}

void write_piece(ByteWriter& out, const std::string& piece, float score) {
  out.f32(score);
  out.i32(static_cast<std::int64_t>(piece.size()));
  out.text(piece);
}

std::string byte_spelling(std::uint32_t byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">";
}

}  // namespace

float synthetic_weight(const SyntheticModel& model, TensorName tensor, std::uint32_t layer,
                       std::uint64_t index) {
  const std::uint64_t hash = weight_hash(model, tensor, layer, index);
  if (is_grouped(model, tensor)) {
    const float scale = group_scale(model, tensor, layer, index / model.group_size);
    return static_cast<float>(group_value(hash)) * scale;
  }
  const float part = static_cast<float>(static_cast<int>(hash % 4096) - 2048) * 0x1p-12F;
  return is_gain(tensor) ? 1 + part : part;
}

std::vector<std::uint8_t> write_llama2c(const SyntheticModel& model) {
  ByteWriter out;
  if (model.version == 0) {
    write_legacy(out, model);
  } else {
    write_versioned(out, model);
  }
  return out.take();
}

std::vector<std::uint8_t> write_tokenizer_bin(std::uint32_t vocab_size) {
  ByteWriter out;
  out.i32(8);  // length of the longest piece
  write_piece(out, "<unk>", 0);
  write_piece(out, "\n<s>\n", 0);
  write_piece(out, "\n</s>\n", 0);
  std::uint32_t token = 3;
  if (vocab_size >= 3 + 256) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) write_piece(out, byte_spelling(byte), 0);
    token += 256;
  }
  for (std::uint32_t letter = 0; token < vocab_size; ++letter, ++token) {
    std::string piece(1 + letter / 26, static_cast<char>('a' + letter % 26));
    write_piece(out, letter == 0 ? " " : piece, -static_cast<float>(letter));
  }
  return out.take();
}

std::vector<Seed> llama2c_seeds() {
  std::vector<Seed> seeds;
  for (int version = 0; version <= 2; ++version) {
    for (const bool has_classifier : {false, true}) {
      SyntheticModel model;
      model.version = version;
      model.has_classifier = has_classifier;
      model.dim = 4;
      model.hidden_dim = 6;
      model.n_layers = version == 2 ? 2 : 1;
      model.vocab_size = 5;
      seeds.push_back({"version" + std::to_string(version) + (has_classifier ? "_own" : "_shared"),
                       write_llama2c(model)});
    }
  }
  return seeds;
}

std::vector<Seed> tokenizer_bin_seeds() {
  std::vector<Seed> seeds;
  for (const std::uint32_t vocab_size : {3U, 20U, 265U}) {
    // The fuzz target takes the size of the vocabulary, less one, from the first two bytes.
    const std::uint32_t coded = vocab_size - 1;
    std::vector<std::uint8_t> bytes = {static_cast<std::uint8_t>(coded % 256),
                                       static_cast<std::uint8_t>(coded / 256)};
    for (const std::uint8_t byte : write_tokenizer_bin(vocab_size)) bytes.push_back(byte);
    seeds.push_back({"tokens" + std::to_string(vocab_size), std::move(bytes)});
  }
  return seeds;
}

}  // namespace mote::test
