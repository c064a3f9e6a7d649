// SPDX-License-Identifier: Apache-2.0
// Small made-up models and tokenizers in the formats of llama2.c, for tests and fuzz seeds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "convert/checkpoint.hpp"

namespace mote::test {

struct SyntheticModel {
  int version = 0;  // 0 legacy, 1 or 2
  std::uint32_t dim = 8;
  std::uint32_t hidden_dim = 12;
  std::uint32_t n_layers = 2;
  std::uint32_t n_heads = 2;
  std::uint32_t n_kv_heads = 1;
  std::uint32_t vocab_size = 10;
  std::uint32_t context_length = 6;
  bool has_classifier = false;
  std::uint32_t group_size = 4;  // version 2 only
  std::uint32_t seed = 1;

  std::uint32_t head_size() const { return dim / n_heads; }
};

/// The weight at `index` of a tensor, as a right reader delivers it.
float synthetic_weight(const SyntheticModel& model, host::TensorName tensor, std::uint32_t layer,
                       std::uint64_t index);

/// The whole file.
std::vector<std::uint8_t> write_llama2c(const SyntheticModel& model);

/// A tokenizer.bin of `vocab_size` >= 3 tokens: the three special ones, then one letter each; with
/// at least 259 tokens the 256 byte tokens come before the letters.
std::vector<std::uint8_t> write_tokenizer_bin(std::uint32_t vocab_size);

/// A seed of a fuzz corpus: small, so that the fuzzer is fast.
struct Seed {
  std::string name;
  std::vector<std::uint8_t> bytes;
};
std::vector<Seed> llama2c_seeds();
std::vector<Seed> tokenizer_bin_seeds();

}  // namespace mote::test
