// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_checkpoint.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "support/error.hpp"
#include "support/expect_weights.hpp"
#include "support/named_model.hpp"

namespace mote::host {
namespace {

using test::GgufWriter;
using test::NamedModel;

/// The message with which the reader refuses what `change` made of a right file.
std::string refusal(const NamedModel& model, const std::function<void(GgufWriter&)>& change) {
  GgufWriter writer = begin_gguf(model);
  change(writer);
  const std::vector<std::uint8_t> bytes = writer.file();
  try {
    const GgufCheckpoint checkpoint(bytes, "m.gguf");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_refusal(const std::function<void(GgufWriter&)>& change, const std::string& expected) {
  const std::string message = refusal({}, change);
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind("m.gguf: ", 0), 0u) << message;
}

TEST(GgufCheckpoint, DeliversEveryWeight) {
  for (const char* architecture : {"llama", "qwen2"}) {
    for (const GgufType type : {GgufType::f32, GgufType::f16, GgufType::bf16}) {
      for (const bool extras : {false, true}) {
        NamedModel model;
        model.architecture = architecture;
        model.type = type;
        model.gguf_version = extras ? 2 : 3;
        model.shape.has_classifier = extras;
        model.shape.has_attention_bias = extras;
        model.shape.has_output_bias = extras;
        const std::vector<std::uint8_t> bytes = write_gguf(model);
        const GgufCheckpoint checkpoint(bytes, "m.gguf");
        EXPECT_EQ(checkpoint.shape().has_classifier, extras);
        EXPECT_EQ(checkpoint.shape().has_attention_bias, extras);
        test::expect_weights(model, checkpoint, 0);
      }
    }
  }
}

TEST(GgufCheckpoint, DeliversTheShape) {
  NamedModel model;
  model.shape.norm_epsilon = 1e-6;
  model.shape.rope_base = 500000;
  const std::vector<std::uint8_t> bytes = write_gguf(model);
  const GgufCheckpoint checkpoint(bytes, "m.gguf");
  EXPECT_EQ(checkpoint.shape().dim, 8u);
  EXPECT_EQ(checkpoint.shape().hidden_dim, 12u);
  EXPECT_EQ(checkpoint.shape().n_layers, 2u);
  EXPECT_EQ(checkpoint.shape().n_heads, 2u);
  EXPECT_EQ(checkpoint.shape().n_kv_heads, 1u);
  EXPECT_EQ(checkpoint.shape().head_size, 4u);
  EXPECT_EQ(checkpoint.shape().vocab_size, 10u);
  EXPECT_EQ(checkpoint.shape().context_length, 16u);
  EXPECT_EQ(checkpoint.shape().norm_epsilon, 1e-6);
  EXPECT_EQ(checkpoint.shape().rope_base, 500000);
  EXPECT_TRUE(checkpoint.shape().rope_factors.empty());
  EXPECT_TRUE(checkpoint.shape().layer_windows.empty());
  EXPECT_EQ(checkpoint.format(), "GGUF, version 3, llama, F32");
}

TEST(GgufCheckpoint, DeliversEveryBlockType) {
  for (const GgufTypeInfo& info : gguf_types()) {
    NamedModel model;
    model.type = info.type;
    model.shape.dim = 256;
    model.shape.hidden_dim = 256;
    model.shape.head_size = 128;
    const std::vector<std::uint8_t> bytes = write_gguf(model);
    const GgufCheckpoint checkpoint(bytes, "m.gguf");
    const bool is_exact = info.block_values == 1;
    test::expect_weights(model, checkpoint, is_exact ? 0 : 0.2);
  }
}

TEST(GgufCheckpoint, AHeadThatEqualsTheEmbeddingIsNone) {
  NamedModel model;
  const std::vector<std::uint8_t> bytes = [&] {
    GgufWriter writer = begin_gguf(model);
    std::vector<float> values;
    for (std::uint32_t row = 0; row < 10; ++row) {
      for (std::uint32_t column = 0; column < 8; ++column) {
        values.push_back(named_weight(model, TensorName::token_embedding, 0, row, column));
      }
    }
    writer.add_tensor("output.weight", {8, 10}, GgufType::f32, values);
    return writer.file();
  }();
  const GgufCheckpoint checkpoint(bytes, "m.gguf");
  EXPECT_FALSE(checkpoint.shape().has_classifier);
  test::expect_weights(model, checkpoint, 0);
}

TEST(GgufCheckpoint, RopeScalingIsRead) {
  const auto factors = [](const std::function<void(GgufWriter&)>& change) {
    GgufWriter writer = test::begin_gguf({});
    change(writer);
    const std::vector<std::uint8_t> bytes = writer.file();
    return GgufCheckpoint(bytes, "m.gguf").shape().rope_factors;
  };
  using Factors = std::vector<double>;
  const float stored[] = {1, 8};
  EXPECT_EQ(factors([](GgufWriter& writer) {
              writer.add_string("llama.rope.scaling.type", "linear");
              writer.add_f32("llama.rope.scaling.factor", 4);
            }),
            (Factors{4, 4}));
  EXPECT_EQ(factors([](GgufWriter& writer) { writer.add_f32("llama.rope.scale_linear", 2); }),
            (Factors{2, 2}));
  EXPECT_EQ(factors([](GgufWriter& writer) {
              writer.add_string("llama.rope.scaling.type", "none");
              writer.add_f32("llama.rope.scaling.factor", 4);
            }),
            Factors{});
  EXPECT_EQ(factors([&](GgufWriter& writer) {
              writer.add_tensor("rope_freqs.weight", {2}, GgufType::f32, stored);
            }),
            (Factors{1, 8}));
  expect_refusal(
      [](GgufWriter& writer) { writer.add_string("llama.rope.scaling.type", "yarn"); },
      "llama.rope.scaling.type is yarn, which is not supported; supported: none, linear");
  expect_refusal([](GgufWriter& writer) { writer.add_f32("llama.rope.scale_linear", -2); },
                 "a RoPE factor is -2");
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("rope_freqs.weight", {1}, GgufType::f32, std::span(stored).first(1));
      },
      "rope_freqs.weight has 1 values in 1 dimensions, must be a vector of 2");
}

TEST(GgufCheckpoint, WindowsAreRead) {
  const auto windows = [](const std::function<void(GgufWriter&)>& change) {
    GgufWriter writer = test::begin_gguf({});
    change(writer);
    const std::vector<std::uint8_t> bytes = writer.file();
    return GgufCheckpoint(bytes, "m.gguf").shape().layer_windows;
  };
  using Windows = std::vector<std::uint32_t>;
  const auto window = [](std::uint32_t length) {
    return
        [length](GgufWriter& writer) { writer.add_u32("llama.attention.sliding_window", length); };
  };
  EXPECT_EQ(windows(window(5)), (Windows{5, 5}));
  EXPECT_EQ(windows(window(16)), (Windows{16, 16}));
  EXPECT_EQ(windows(window(0)), Windows{});
  EXPECT_EQ(windows([&](GgufWriter& writer) {
              window(5)(writer);
              writer.add_u32("llama.attention.sliding_window_pattern", 2);
            }),
            (Windows{5, 0}));
  EXPECT_EQ(windows([&](GgufWriter& writer) {
              window(5)(writer);
              writer.add_i32s("llama.attention.sliding_window_pattern", {0, 1});
            }),
            (Windows{0, 5}));
}

TEST(GgufCheckpoint, WhatIsNotSupportedIsRefusedByName) {
  const auto with_u32 = [](const char* key, std::uint32_t value) {
    return [=](GgufWriter& writer) { writer.add_u32(key, value); };
  };
  expect_refusal(with_u32("llama.expert_count", 8),
                 "llama.expert_count is 8: a mixture of experts is not supported; supported: 0");
  expect_refusal([](GgufWriter& writer) { writer.add_f32("llama.final_logit_softcapping", 30); },
                 "soft capping is not supported");
  expect_refusal([](GgufWriter& writer) { writer.add_bool("llama.attention.causal", false); },
                 "llama.attention.causal is 0");
  expect_refusal(with_u32("llama.something_new", 1), "llama.something_new is not supported");
  expect_refusal(with_u32("llama.rope.dimension_count", 2),
                 "llama.rope.dimension_count is 2, must be 4: RoPE turns whole heads");
  expect_refusal(with_u32("llama.attention.value_length", 8), "llama.attention.value_length is 8");
  expect_refusal(with_u32("llama.vocab_size", 11), "llama.vocab_size is 11, must be 10");
  EXPECT_EQ(refusal({}, with_u32("llama.expert_count", 0)), "");
  EXPECT_EQ(refusal({}, with_u32("other.expert_count", 8)), "");
  NamedModel model;
  model.architecture = "gemma";
  EXPECT_EQ(refusal(model, [](GgufWriter&) {}),
            "m.gguf: the architecture gemma is not supported; supported: llama, qwen2");
}

TEST(GgufCheckpoint, TensorsMustFitTheShape) {
  const std::vector<float> values(64);
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("blk.0.attn_sinks.weight", {8}, GgufType::f32,
                          std::span(values).first(8));
      },
      "the tensor blk.0.attn_sinks.weight is not supported");
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("blk.2.attn_norm.weight", {8}, GgufType::f32, std::span(values).first(8));
      },
      "blk.2.attn_norm.weight: the model has layers 0 to 1");
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("output.weight", {8, 2}, GgufType::f32, std::span(values).first(16));
      },
      "output.weight is 2 x 8, must be 10 x 8");
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("output.weight", {8, 2, 2}, GgufType::f32, std::span(values).first(32));
      },
      "output.weight has 3 dimensions");
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("blk.1.attn_q.bias", {8}, GgufType::f32, std::span(values).first(8));
      },
      "blk.1.attn_q.bias is there, but not in every layer");
  expect_refusal(
      [&](GgufWriter& writer) {
        writer.add_tensor("blk.0.attn_q.bias", {8}, GgufType::f32, std::span(values).first(8));
      },
      "the tensor layers.1.bq is missing");
}

}  // namespace
}  // namespace mote::host
