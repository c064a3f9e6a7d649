// SPDX-License-Identifier: Apache-2.0
#include "synthetic/synthetic_checkpoint.hpp"

#include <cmath>

#include "convert/checkpoint_shape.hpp"
#include "mote/sampler.hpp"
#include "mote/scale.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kByteTokens = 256;
constexpr std::uint32_t kControlTokens = 3;

/// The final mixing step of SplitMix64 (Steele, Lea and Flood, 2014).
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Sum of four uniform integers, -124 to 124, variance about 43^2 less.
int bell(Pcg32& random) {
  const std::uint32_t bits = random.next();
  int sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<int>((bits >> (8 * i)) % 63) - 31;
  return sum;
}

/// "a" to "z", "aa" to "zz", ...
std::string letters(std::uint32_t index) {
  std::string text;
  for (++index; index > 0; index = (index - 1) / 26) {
    text.insert(text.begin(), static_cast<char>('a' + (index - 1) % 26));
  }
  return text;
}

}  // namespace

void SyntheticCheckpoint::read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                                   std::uint32_t row) const {
  Pcg32 random(mix(mix(mix(seed_ ^ static_cast<std::uint64_t>(tensor)) ^ layer) ^ row));
  const bool is_gain = tensor == TensorName::final_norm || tensor == TensorName::attention_norm ||
                       tensor == TensorName::ffn_norm;
  // The standard deviation of `bell` is about 36 = 2^5.2; a row of n weights gets 1 / sqrt(n), and
  // biases are as large as what they are added to.
  const int exponent = is_gain           ? -8
                       : is_bias(tensor) ? -5
                                         : -5 - (significant_bits(out.size()) - 1) / 2;
  for (float& value : out) {
    value = std::ldexp(static_cast<float>(bell(random)), exponent) + (is_gain ? 1.0F : 0.0F);
  }
}

Vocabulary make_synthetic_vocabulary(std::uint32_t vocab_size) {
  Vocabulary vocabulary;
  const bool has_bytes = vocab_size >= kControlTokens + kByteTokens;
  const std::uint32_t first_piece = kControlTokens + (has_bytes ? kByteTokens : 0);
  for (std::uint32_t id = 0; id < vocab_size; ++id) {
    VocabularyEntry entry;
    if (id < kControlTokens) {
      constexpr const char* kNames[] = {"<unk>", "<s>", "</s>"};
      entry.bytes = kNames[id];
      entry.kind = id == 0 ? TokenKind::unknown : TokenKind::control;
      entry.ends_text = id != 0;
    } else if (id < first_piece) {
      entry.bytes = std::string(1, static_cast<char>(id - kControlTokens));
      entry.kind = TokenKind::byte;
    } else if (id == first_piece) {
      entry.bytes = " ";
    } else {
      entry.bytes = letters(id - first_piece - 1);
      entry.score = -static_cast<float>(id);
    }
    vocabulary.entries.push_back(entry);
  }
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.unknown = 0;
  if (has_bytes) vocabulary.first_byte_token = kControlTokens;
  return vocabulary;
}

}  // namespace mote::host
