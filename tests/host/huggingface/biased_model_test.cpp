// SPDX-License-Identifier: Apache-2.0
// Models with biases from files to logits, against a double-precision forward pass of the files.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "convert/convert.hpp"
#include "convert/convert_report.hpp"
#include "gguf/gguf_checkpoint.hpp"
#include "huggingface/huggingface_checkpoint.hpp"
#include "mote/sampler.hpp"
#include "support/double_model.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/named_model.hpp"
#include "support/oracle.hpp"
#include "support/running_model.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::NamedModel;
using test::OpenImage;

/// Layers enough for an error in one to be seen in the next; heads in groups. Weights of +-1 give
/// large scores, so that rounding shows more than in a model that was trained.
NamedModel biased_model(const std::string& architecture) {
  NamedModel model;
  model.architecture = architecture;
  model.shape = {.dim = 64,
                 .hidden_dim = 96,
                 .n_layers = 3,
                 .n_heads = 8,
                 .n_kv_heads = 2,
                 .head_size = 16,
                 .vocab_size = 120,
                 .context_length = 64};
  model.shape.has_classifier = true;
  model.shape.has_attention_bias = true;
  model.shape.has_output_bias = architecture == "llama";
  return model;
}

Bytes convert(const Checkpoint& checkpoint, ConvertReport* report = nullptr) {
  const TemporaryFile file("mote-test");
  ConvertOptions options;
  options.name = "biased";
  const ConvertReport made = convert_checkpoint(
      file.path(), checkpoint, make_synthetic_vocabulary(checkpoint.shape().vocab_size), options);
  if (report != nullptr) *report = made;
  return test::read_file(file.path());
}

Bytes convert_gguf(const NamedModel& model) {
  const Bytes bytes = write_gguf(model);
  return convert(GgufCheckpoint(bytes, "m.gguf"));
}

/// A Hugging Face folder's files in memory, and the checkpoint that reads them.
class Folder {
 public:
  explicit Folder(const NamedModel& model) : tensors_(write_safetensors(model)) {
    const std::string config = write_huggingface_config(model);
    files_.emplace_back(tensors_, "m.safetensors");
    checkpoint_ = std::make_unique<HuggingfaceCheckpoint>(Bytes(config.begin(), config.end()),
                                                          "config.json", files_);
  }
  const Checkpoint& checkpoint() const { return *checkpoint_; }

 private:
  Bytes tensors_;
  std::vector<SafetensorsFile> files_;
  std::unique_ptr<HuggingfaceCheckpoint> checkpoint_;
};

/// sqrt(sum (logit - exact)^2 / sum exact^2) over all logits after each of 40 tokens.
double relative_rms_error(const Bytes& bytes, const Checkpoint& checkpoint) {
  const OpenImage image(bytes);
  test::RunningModel model(image.image(), {40, 1, 1});
  test::DoubleModel oracle(checkpoint);
  double squared_error = 0;
  double squared_logits = 0;
  for (const std::uint32_t token : test::random_tokens(checkpoint.shape().vocab_size, 40)) {
    const test::Logits logits = model.logits_after({&token, 1});
    const std::vector<double> exact = oracle.forward(token);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double error = std::ldexp(logits[i], -kLogitFractionBits) - exact[i];
      squared_error += error * error;
      squared_logits += exact[i] * exact[i];
    }
  }
  return std::sqrt(squared_error / squared_logits);
}

TEST(BiasedModel, logits_are_those_of_the_files) {
  for (const char* architecture : {"qwen2", "llama"}) {
    const NamedModel named = biased_model(architecture);
    const Folder folder(named);
    const Bytes image = convert(folder.checkpoint());
    EXPECT_EQ(convert_gguf(named), image) << "GGUF and the folder hold the same model";
    const double error = relative_rms_error(image, folder.checkpoint());
    test::record(std::string(architecture) + "_relative_rms_error", error);
    EXPECT_LE(error, 0.124) << architecture;
  }
}

/// What the bound above is worth: without its biases the model is another one.
TEST(BiasedModel, biases_matter) {
  NamedModel named = biased_model("qwen2");
  const Folder folder(named);
  named.shape.has_attention_bias = false;
  EXPECT_GE(relative_rms_error(convert_gguf(named), folder.checkpoint()), 0.7);
}

/// Random weights with some biases of one's own.
class WithBiases : public SyntheticCheckpoint {
 public:
  WithBiases(const CheckpointShape& shape, TensorName tensor, std::vector<float> head)
      : SyntheticCheckpoint(shape, 1), tensor_(tensor), head_(std::move(head)) {}
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override {
    SyntheticCheckpoint::read_row(out, tensor, layer, row);
    if (tensor != tensor_) return;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = head_[i % head_.size()];
  }

 private:
  TensorName tensor_;
  std::vector<float> head_;
};

/// Qwen2's keys have biases of some hundreds in lanes that turn slowly.
TEST(BiasedModel, keys_may_have_biases_of_hundreds) {
  CheckpointShape shape = biased_model("qwen2").shape;
  shape.rope_base = 1e6;
  const std::pair<float, double> bounds[] = {{30.0F, 0.022}, {100.0F, 0.041}, {300.0F, 0.103}};
  for (const auto& [large, bound] : bounds) {
    std::vector<float> head(16);
    for (std::size_t i = 0; i < head.size(); ++i) head[i] = 0.25F * static_cast<float>(i % 5);
    head[13] = large;
    head[14] = -large / 2;
    const WithBiases checkpoint(shape, TensorName::bk, head);
    const double error = relative_rms_error(convert(checkpoint), checkpoint);
    test::record("relative_rms_error_at_" + std::to_string(static_cast<int>(large)), error);
    EXPECT_LE(error, bound) << large;
  }
}

std::string refusal(TensorName tensor, std::vector<float> head) {
  CheckpointShape shape = biased_model("llama").shape;
  try {
    convert(WithBiases(shape, tensor, std::move(head)));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(BiasedModel, biases_past_the_range_are_refused_by_name) {
  EXPECT_EQ(refusal(TensorName::bk, {1, 2047.75, -2048}), "");
  EXPECT_EQ(refusal(TensorName::bk, {1, 2048}),
            "layers.0.bk: value 1 is 2048, must be at least -2048 and below 2048");
  EXPECT_EQ(refusal(TensorName::bv, {-2048.5}),
            "layers.0.bv: value 0 is -2048.5, must be at least -2048 and below 2048");
  EXPECT_EQ(refusal(TensorName::bo, {-32768}), "");
  EXPECT_EQ(refusal(TensorName::bo, {0, 0, 40000}),
            "layers.0.bo: value 2 is 40000, must be at least -32768 and below 32768");
  EXPECT_NE(refusal(TensorName::bq, {std::numeric_limits<float>::infinity()})
                .find("layers.0.bq: row 0, column 0 is inf, must be a finite number"),
            std::string::npos);
}

TEST(BiasedModel, biases_that_are_zero_take_no_room) {
  CheckpointShape shape = biased_model("qwen2").shape;
  const WithBiases checkpoint(shape, TensorName::bk, {0});
  ConvertReport report;
  const test::SpecImage image = test::parse_image(convert(checkpoint, &report));
  EXPECT_NO_THROW(image.find(26, 1));
  EXPECT_THROW(image.find(27, 1), std::runtime_error);
  EXPECT_NO_THROW(image.find(28, 1));
  const std::string table = format_convert_table(report);
  EXPECT_NE(table.find("layers.0.bq"), std::string::npos) << table;
  EXPECT_EQ(table.find("layers.0.bk"), std::string::npos) << table;
}

}  // namespace
}  // namespace mote::host
