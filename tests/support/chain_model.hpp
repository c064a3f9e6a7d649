// SPDX-License-Identifier: Apache-2.0
// A model whose text is known beforehand: after token t the best one is always `next[t]`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "convert/convert.hpp"

namespace mote::test {

/// Each token has a lane of its own. The layers add nothing, and a row of the classifier is the
/// lanes of the tokens that it follows.
class ChainCheckpoint : public host::Checkpoint {
 public:
  ChainCheckpoint(std::vector<std::uint32_t> next, std::uint32_t context_length)
      : next_(std::move(next)) {
    shape_.dim = shape_.vocab_size = static_cast<std::uint32_t>(next_.size());
    shape_.hidden_dim = shape_.n_layers = shape_.n_heads = shape_.n_kv_heads = 1;
    shape_.head_size = 2;
    shape_.context_length = context_length;
    shape_.has_classifier = true;
  }

  const host::CheckpointShape& shape() const override { return shape_; }
  std::string format() const override { return "chain"; }
  void read_row(std::span<float> out, host::TensorName tensor, std::uint32_t,
                std::uint32_t row) const override {
    const bool is_norm = tensor == host::TensorName::final_norm ||
                         tensor == host::TensorName::attention_norm ||
                         tensor == host::TensorName::ffn_norm;
    std::ranges::fill(out, is_norm ? 1.0F : 0.0F);
    if (tensor == host::TensorName::token_embedding) out[row] = 1;
    if (tensor != host::TensorName::classifier) return;
    for (std::size_t token = 0; token < next_.size(); ++token) {
      if (next_[token] == row) out[token] = 1;
    }
  }

 private:
  std::vector<std::uint32_t> next_;
  host::CheckpointShape shape_;
};

/// Writes an image that says <s>, then `pieces` one after another, then </s>, and begins again.
/// The pieces are tokens 3 and up and must be an odd number, so that the vocabulary is even.
inline void write_chain_image(const std::string& path, const std::vector<std::string>& pieces,
                              std::uint32_t context_length) {
  host::Vocabulary vocabulary;
  vocabulary.entries = {{"<unk>", 0, TokenKind::unknown, false},
                        {"<s>", 0, TokenKind::control, false},
                        {"</s>", 0, TokenKind::control, true}};
  for (const std::string& piece : pieces) {
    vocabulary.entries.push_back({piece, 0, TokenKind::normal, false});
  }
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.adds_space_prefix = false;
  std::vector<std::uint32_t> next(vocabulary.entries.size());
  for (std::uint32_t token = 3; token < next.size(); ++token) next[token] = token + 1;
  next[0] = 1;
  next[1] = 3;
  next[2] = 1;
  next.back() = 2;
  host::convert_checkpoint(path, ChainCheckpoint(next, context_length), vocabulary, {});
}

}  // namespace mote::test
