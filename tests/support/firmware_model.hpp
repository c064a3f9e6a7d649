// SPDX-License-Identifier: Apache-2.0
// A small model with a tokenizer for the programs in src/firmware, and what it answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "mote/tokenizer.hpp"
#include "support/chip_answer.hpp"
#include "support/fake_board.hpp"
#include "support/image_factory.hpp"

namespace mote::test {

/// Four K/V heads and blocks of 16 lanes, so that four chips have something each.
inline ModelSpec firmware_model(std::uint64_t seed = 1) {
  ModelSpec model;
  model.shape = {.dim = 64,
                 .hidden_dim = 96,
                 .n_layers = 2,
                 .n_heads = 4,
                 .n_kv_heads = 4,
                 .head_size = 16,
                 .vocab_size = 300,
                 .context_length = 48,
                 .has_classifier = false};
  model.block = 16;
  model.seed = seed;
  return model;
}

inline Tokens encoded(const Image& image, const std::string& text) {
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(image.section_bytes(SectionKind::tokenizer)), Status::ok);
  Tokens tokens(Tokenizer::max_tokens(text.size()));
  Tokens scratch(tokens.size());
  std::size_t count = 0;
  EXPECT_EQ(tokenizer.encode(tokens, count, scratch, text), Status::ok);
  tokens.resize(count);
  return tokens;
}

/// The tokens that a program tells: those drawn, up to the first that ends a text.
inline Tokens expected_tokens(const Image& image, const std::string& text, std::uint32_t count,
                              const SamplerConfig& sampling = {}) {
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(image.section_bytes(SectionKind::tokenizer)), Status::ok);
  const Tokens prompt = encoded(image, text);
  const RunConfig run = {image.config().context_length, 8, sampling.top_k};
  const Answer answer = answer_of_one(image, run, prompt, sampling, count);
  Tokens drawn(answer.text.begin() + static_cast<std::ptrdiff_t>(prompt.size()), answer.text.end());
  const auto end = std::find_if(drawn.begin(), drawn.end(),
                                [&](std::uint32_t token) { return tokenizer.is_end(token); });
  drawn.erase(end, drawn.end());
  return drawn;
}

/// The answers to commands of a tool, so far.
inline std::vector<nlohmann::json> answers_of(const FakeBoard& board) {
  std::vector<nlohmann::json> answers;
  for (const std::string& line : json_lines(board.shown)) {
    answers.push_back(nlohmann::json::parse(line));
  }
  return answers;
}

inline Tokens told_tokens(const std::vector<nlohmann::json>& answers) {
  Tokens tokens;
  for (const auto& answer : answers) {
    if (answer.contains("token")) tokens.push_back(answer["token"].get<std::uint32_t>());
  }
  return tokens;
}

}  // namespace mote::test
