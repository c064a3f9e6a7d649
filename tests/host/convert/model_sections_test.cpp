// SPDX-License-Identifier: Apache-2.0
// The attention section; the others are seen through whole images in convert_test.cpp.
#include "convert/model_sections.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/error.hpp"
#include "support/spec_image.hpp"

namespace mote::host {
namespace {

ModelConfig config_of(std::uint32_t n_kv_heads, std::uint32_t context_length) {
  ModelConfig config;
  config.n_kv_heads = n_kv_heads;
  config.context_length = context_length;
  return config;
}

LayerAttention window_of(std::uint32_t window, std::uint32_t sinks) {
  return {AttentionKind::sliding_window, window, sinks, {}};
}
LayerAttention linear(std::vector<std::uint32_t> decays) {
  return {AttentionKind::linear, 0, 0, std::move(decays)};
}

std::vector<std::uint32_t> words_of(const LayerAttention& attention, const ModelConfig& config) {
  const test::Bytes bytes = encode_attention(attention, config, "x");
  EXPECT_EQ(bytes.size() % 4, 0U);
  std::vector<std::uint32_t> words;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    words.push_back(static_cast<std::uint32_t>(test::number_at(bytes, i, 4)));
  }
  return words;
}

std::string refusal(const LayerAttention& attention, const ModelConfig& config) {
  try {
    encode_attention(attention, config, "layer 7");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

using Words = std::vector<std::uint32_t>;

TEST(EncodeAttention, follows_the_specification) {
  const ModelConfig config = config_of(2, 512);
  EXPECT_EQ(words_of({}, config), Words{});
  EXPECT_EQ(words_of(window_of(256, 4), config), (Words{1, 256, 4, 0}));
  EXPECT_EQ(words_of(window_of(1, 0), config), (Words{1, 1, 0, 0}));
  EXPECT_EQ(words_of(linear({65536, 1}), config), (Words{2, 0, 0, 0, 65536, 1}));
}

TEST(EncodeAttention, a_window_and_its_sinks_fit_the_trained_context) {
  const ModelConfig config = config_of(1, 512);
  EXPECT_EQ(refusal(window_of(512, 0), config), "");
  EXPECT_EQ(refusal(window_of(448, 64), config), "");
  EXPECT_EQ(refusal(window_of(513, 0), config), "layer 7: window is 513, must be 1 to 512");
  EXPECT_EQ(refusal(window_of(509, 4), config), "layer 7: window is 509, must be 1 to 508");
  EXPECT_EQ(refusal(window_of(0, 4), config), "layer 7: window is 0, must be 1 to 508");
  EXPECT_EQ(refusal(window_of(0xffffffffU, 4), config),
            "layer 7: window is 4294967295, must be 1 to 508");
  EXPECT_EQ(refusal(window_of(8, 65), config), "layer 7: sinks is 65, must be 0 to 64");
  EXPECT_EQ(refusal(window_of(1, 24), config_of(1, 24)),
            "layer 7: sinks is 24, must be below the context of 24");
  EXPECT_EQ(refusal(window_of(1, 23), config_of(1, 24)), "");
}

TEST(EncodeAttention, every_kv_head_has_a_decay_in_its_range) {
  const ModelConfig config = config_of(2, 512);
  EXPECT_EQ(refusal(linear({1, 65536}), config), "");
  EXPECT_EQ(refusal(linear({9, 0}), config), "layer 7: decay is 0, must be 1 to 65536");
  EXPECT_EQ(refusal(linear({65537, 9}), config), "layer 7: decay is 65537, must be 1 to 65536");
  EXPECT_EQ(refusal(linear({}), config), "layer 7: the number of decays is 0, must be 2 to 2");
  EXPECT_EQ(refusal(linear({9, 9, 9}), config),
            "layer 7: the number of decays is 3, must be 2 to 2");
}

}  // namespace
}  // namespace mote::host
