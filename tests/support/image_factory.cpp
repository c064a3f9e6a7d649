// SPDX-License-Identifier: Apache-2.0
#include "support/image_factory.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "convert/convert.hpp"
#include "support/mapped_file.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::test {

AlignedBytes::AlignedBytes(std::span<const std::uint8_t> bytes, std::size_t shift)
    : memory_(static_cast<std::uint8_t*>(
          ::operator new[](bytes.size() + shift, std::align_val_t{kSectionAlignment}))),
      shift_(shift),
      size_(bytes.size()) {
  std::copy(bytes.begin(), bytes.end(), span().begin());
}

ModelSpec tiny_model() {
  ModelSpec model;
  model.shape = {.dim = 4,
                 .hidden_dim = 6,
                 .n_layers = 2,
                 .n_heads = 2,
                 .n_kv_heads = 1,
                 .head_size = 2,
                 .vocab_size = 5,
                 .context_length = 6,
                 .has_classifier = true};
  model.block = 16;
  return model;
}

Bytes make_image(const ModelSpec& model) {
  const host::TemporaryFile file("mote-test");
  host::ConvertOptions options;
  options.weights = model.weights;
  options.block = model.block;
  options.attention = model.attention;
  options.name = "synthetic";
  host::convert_checkpoint(file.path(), host::SyntheticCheckpoint(model.shape, model.seed),
                           host::make_synthetic_vocabulary(model.shape.vocab_size), options);
  return read_file(file.path());
}

OpenImage::OpenImage(const Bytes& bytes) : memory_(bytes) {
  const Status status = image_.open(memory_.span());
  if (status != Status::ok) throw std::runtime_error(status_text(status));
}

std::string shared_path(const std::string& name) {
  return std::string(MOTE_SHARED_DIR) + "/" + name;
}

std::string missing_file(const SharedModel& model) {
  for (const char* name : {model.model, model.tokenizer}) {
    if (!std::filesystem::exists(shared_path(name))) return shared_path(name);
  }
  return "";
}

void convert_shared(const std::string& out_path, const SharedModel& model, WeightFormat weights,
                    const host::LayerAttention& attention) {
  const auto checkpoint = host::open_checkpoint(shared_path(model.model));
  const std::string tokenizer_path = shared_path(model.tokenizer);
  const host::MappedFile tokenizer(tokenizer_path);
  host::ConvertOptions options;
  options.weights = weights;
  options.attention.assign(checkpoint->shape().n_layers, attention);
  options.name = "shared";
  host::convert_checkpoint(out_path, *checkpoint,
                           host::read_llama2c_tokenizer(
                               tokenizer.bytes(), checkpoint->shape().vocab_size, tokenizer_path),
                           options);
}

Bytes convert_shared(const SharedModel& model, WeightFormat weights) {
  const host::TemporaryFile file("mote-test");
  convert_shared(file.path(), model, weights);
  return read_file(file.path());
}

}  // namespace mote::test
