// SPDX-License-Identifier: Apache-2.0
#include "huggingface/huggingface_checkpoint.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "convert/rope_factors.hpp"
#include "support/error.hpp"
#include "support/expect_weights.hpp"
#include "support/named_model.hpp"

namespace mote::host {
namespace {

using test::NamedModel;

std::vector<std::uint8_t> to_bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

/// The files of a model with `more` put into config.json, which goes before what is there.
class Files {
 public:
  explicit Files(const NamedModel& model, const std::string& more = "")
      : config_(write_huggingface_config(model)), tensors_(write_safetensors(model)) {
    config_.insert(1, more);
    files_.emplace_back(tensors_, "m.safetensors");
  }

  HuggingfaceCheckpoint open() const {
    return HuggingfaceCheckpoint(to_bytes(config_), "config.json", files_);
  }

 private:
  std::string config_;
  std::vector<std::uint8_t> tensors_;
  std::vector<SafetensorsFile> files_;
};

void expect_refusal(const std::string& more, const std::string& expected,
                    const NamedModel& model = {}) {
  try {
    Files(model, more).open();
    ADD_FAILURE() << expected;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

TEST(HuggingfaceCheckpoint, DeliversEveryWeightInterleaved) {
  for (const char* type : {"llama", "mistral", "qwen2"}) {
    for (const GgufType format : {GgufType::f32, GgufType::f16, GgufType::bf16}) {
      for (const bool extras : {false, true}) {
        NamedModel model;
        model.architecture = type;
        model.type = format;
        model.shape.has_classifier = extras;
        model.shape.has_attention_bias = extras;
        model.shape.has_output_bias = extras;
        const Files files(model);
        const HuggingfaceCheckpoint checkpoint = files.open();
        EXPECT_EQ(checkpoint.shape().has_classifier, extras);
        EXPECT_EQ(checkpoint.shape().has_attention_bias, extras);
        test::expect_weights(model, checkpoint, 0);
      }
    }
  }
}

TEST(HuggingfaceCheckpoint, DeliversTheShape) {
  NamedModel model;
  model.shape.norm_epsilon = 1e-6;
  model.shape.rope_base = 500000;
  const HuggingfaceCheckpoint checkpoint = Files(model).open();
  EXPECT_EQ(checkpoint.shape().dim, 8u);
  EXPECT_EQ(checkpoint.shape().head_size, 4u);
  EXPECT_EQ(checkpoint.shape().context_length, 16u);
  EXPECT_EQ(checkpoint.shape().norm_epsilon, 1e-6);
  EXPECT_EQ(checkpoint.shape().rope_base, 500000);
  EXPECT_EQ(checkpoint.format(), "Hugging Face, llama, F32 in 1 file");
}

TEST(HuggingfaceCheckpoint, ShardsAreReadTogether) {
  const NamedModel model;
  const std::vector<std::uint8_t> parts[] = {write_safetensors(model, 0, 2),
                                             write_safetensors(model, 1, 2)};
  const SafetensorsFile files[] = {{parts[0], "1.safetensors"}, {parts[1], "2.safetensors"}};
  const auto config = to_bytes(write_huggingface_config(model));
  test::expect_weights(model, HuggingfaceCheckpoint(config, "config.json", files), 0);
  EXPECT_THROW(HuggingfaceCheckpoint(config, "config.json", std::span(files).first(1)), Error);
  const SafetensorsFile twice[] = {{parts[0], "1.safetensors"}, {parts[0], "2.safetensors"}};
  EXPECT_THROW(HuggingfaceCheckpoint(config, "config.json", twice), Error);
}

TEST(HuggingfaceCheckpoint, IndexNamesShards) {
  EXPECT_EQ(list_shards(to_bytes(R"({"weight_map":{"a":"2.st","b":"1.st","c":"2.st"}})"), "i.json"),
            (std::vector<std::string>{"1.st", "2.st"}));
  for (const char* index :
       {"{}", R"({"weight_map":{}})", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})",
        R"({"weight_map":{"a":"../x"}})", R"({"weight_map":{"a":"/etc/x"}})",
        R"({"weight_map":{"a":".."}})", R"({"weight_map":{"a":""}})"}) {
    EXPECT_THROW(list_shards(to_bytes(index), "i.json"), Error) << index;
  }
}

TEST(HuggingfaceCheckpoint, RopeScalingIsRead) {
  const auto factors = [](const std::string& more) {
    return Files({}, more).open().shape().rope_factors;
  };
  using Factors = std::vector<double>;
  EXPECT_EQ(factors(R"("rope_scaling":null,)"), Factors{});
  EXPECT_EQ(factors(R"("rope_scaling":{"type":"linear","factor":2.0},)"), (Factors{2, 2}));
  EXPECT_EQ(factors(R"("rope_parameters":{"rope_type":"default","rope_theta":5},)"), Factors{});
  EXPECT_EQ(factors(R"("rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,)"
                    R"("high_freq_factor":4,"original_max_position_embeddings":8},)"),
            make_llama3_factors({8, 1, 4, 8}, 4, 10000, "test"));
  expect_refusal(
      R"("rope_scaling":{"rope_type":"yarn","factor":8},)",
      "rope_scaling: the type yarn is not supported; supported: default, linear, llama3");
  expect_refusal(R"("rope_scaling":{"rope_type":"llama3","factor":8},)",
                 "low_freq_factor is missing");
  expect_refusal(R"("rope_scaling":{"rope_type":"linear","factor":0},)", "a RoPE factor is 0");
}

TEST(HuggingfaceCheckpoint, WindowsAreRead) {
  const auto windows = [](const char* type, const std::string& more) {
    NamedModel model;
    model.architecture = type;
    return Files(model, more).open().shape().layer_windows;
  };
  using Windows = std::vector<std::uint32_t>;
  EXPECT_EQ(windows("mistral", R"("sliding_window":5,)"), (Windows{5, 5}));
  EXPECT_EQ(windows("mistral", R"("sliding_window":null,)"), Windows{});
  EXPECT_EQ(windows("mistral", R"("sliding_window":4096,)"), (Windows{4096, 4096}));
  EXPECT_EQ(windows("llama", R"("sliding_window":5,)"), Windows{});
  EXPECT_EQ(windows("qwen2", R"("sliding_window":5,)"), Windows{});
  EXPECT_EQ(
      windows("qwen2", R"("sliding_window":5,"use_sliding_window":true,"max_window_layers":1,)"),
      (Windows{0, 5}));
  EXPECT_EQ(windows("mistral",
                    R"("sliding_window":5,"layer_types":["sliding_attention","full_attention"],)"),
            (Windows{5, 0}));
  expect_refusal(R"("layer_types":["full_attention","linear_attention"],)", "layer_types must be");
  expect_refusal(R"("layer_types":["full_attention"],)", "an array of 2 strings");
}

TEST(HuggingfaceCheckpoint, WhatIsNotSupportedIsRefusedByName) {
  NamedModel model;
  model.architecture = "gemma2";
  expect_refusal("", "the model_type \"gemma2\" is not supported; supported: llama, mistral, qwen2",
                 model);
  expect_refusal(R"("hidden_act":"gelu",)", "the hidden_act gelu is not supported");
  expect_refusal(R"("quantization_config":{"quant_method":"gptq"},)", "quantised checkpoints");
  expect_refusal(R"("partial_rotary_factor":0.5,)", "partial_rotary_factor must be 1");
  // Of two members with one name JSON readers take the last, so that the right ones are taken out.
  NamedModel wide;
  wide.shape.dim = 8192;
  wide.shape.hidden_dim = 1;
  wide.shape.n_layers = 1;
  wide.shape.vocab_size = 1;
  expect_refusal("", "dim is 8192, must be 1 to 4096", wide);
}

TEST(HuggingfaceCheckpoint, TensorsMustFitTheShape) {
  NamedModel model;
  const std::vector<std::uint8_t> tensors = write_safetensors(model);
  const SafetensorsFile files[] = {{tensors, "m.safetensors"}};
  const auto message = [&](const NamedModel& other) -> std::string {
    try {
      const auto config = to_bytes(write_huggingface_config(other));
      const HuggingfaceCheckpoint checkpoint(config, "config.json", files);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(message(model), "");
  model.shape.vocab_size = 11;
  EXPECT_EQ(message(model), "config.json: model.embed_tokens.weight is 10 x 8, must be 11 x 8");
  model.shape.vocab_size = 10;
  model.shape.n_layers = 1;
  EXPECT_NE(message(model).find("the model has layers 0 to 0"), std::string::npos);
  model.shape.n_layers = 3;
  EXPECT_EQ(message(model), "config.json: the tensor layers.2.attention_norm is missing");
  model.shape.n_layers = 2;
  model.shape.has_classifier = true;
  EXPECT_EQ(message(model), "config.json: the tensor classifier is missing");
}

}  // namespace
}  // namespace mote::host
