// SPDX-License-Identifier: Apache-2.0
#include "firmware/signature.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "base/sha256.hpp"
#include "mote/arena.hpp"
#include "mote/sampler.hpp"
#include "mote/transformer.hpp"

namespace mote::firmware {
namespace {

constexpr std::string_view kText = "Once upon a time, Ada's 7 m\xc3\xb6wen";
/// Tokens of the text that the model sees, in two passes of different length.
constexpr std::uint32_t kPromptTokens = 4;
constexpr std::uint32_t kBatch = 3;
constexpr std::uint32_t kDrawnTokens = 5;
constexpr std::uint32_t kCandidates = 64;

RunConfig run_config(const ModelConfig& config) {
  constexpr std::uint32_t kContext = kPromptTokens + kDrawnTokens;
  return {std::min(kContext, config.context_length), kBatch,
          std::min(kCandidates, config.vocab_size)};
}

SamplerConfig sampled_config(const ModelConfig& config) {
  SamplerConfig sampler;
  sampler.temperature_q16 = kOneQ16;
  sampler.top_k = std::min(kCandidates, config.vocab_size);
  sampler.top_p_q16 = kOneQ16 / 10 * 9;
  sampler.repeat_penalty_q16 = kOneQ16 / 10 * 11;
  sampler.seed = 1;
  return sampler;
}

void hash_number(Sha256& hash, std::uint32_t number) {
  const std::array<std::uint8_t, 4> bytes = {
      static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8),
      static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 24)};
  hash.update(bytes);
}

void hash_text(Sha256& hash, std::string_view text) {
  hash_number(hash, static_cast<std::uint32_t>(text.size()));
  hash.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

/// What is drawn in turn from one text.
struct Samplers {
  Sampler greedy;
  Sampler sampled;

  Status configure(const ModelConfig& config) {
    const Status status = greedy.configure({});
    return status == Status::ok ? sampled.configure(sampled_config(config)) : status;
  }
  Sampler& of(std::uint32_t drawn) { return drawn % 2 == 0 ? greedy : sampled; }
  void accept(std::uint32_t token) {
    greedy.accept(token);
    sampled.accept(token);
  }
};

/// End tokens are tokens like others here.
Status hash_answer(Sha256& hash, Transformer& transformer, Samplers& samplers,
                   const Tokenizer& tokenizer, std::span<const std::uint32_t> prompt) {
  for (const std::uint32_t token : prompt) samplers.accept(token);
  Status status = transformer.decode(prompt);
  std::uint32_t previous = prompt.back();
  for (std::uint32_t drawn = 0; status == Status::ok; ++drawn) {
    Sampler& sampler = samplers.of(drawn);
    const auto candidates = transformer.candidates(sampler);
    const std::uint32_t token = sampler.sample(candidates);
    for (const Candidate& candidate : candidates) {
      hash_number(hash, static_cast<std::uint32_t>(candidate.logit));
      hash_number(hash, candidate.token);
    }
    hash_number(hash, token);
    hash_text(hash, tokenizer.decode(previous, token));
    samplers.accept(token);
    previous = token;
    if (drawn + 1 == kDrawnTokens || transformer.position() == transformer.position_limit()) break;
    status = transformer.decode({&previous, 1});
  }
  return status;
}

}  // namespace

std::size_t signature_arena_bytes(const Image& image) {
  Arena arena;
  arena.take<Transformer>(1);
  arena.take<Samplers>(1);
  arena.take<std::uint32_t>(2 * Tokenizer::max_tokens(kText.size()));
  return arena.used_bytes() + Transformer::arena_bytes(image, run_config(image.config()));
}

Status compute_signature(std::uint64_t& signature, const Image& image, const Tokenizer& tokenizer,
                         std::span<std::byte> memory) {
  constexpr std::size_t kMostTokens = Tokenizer::max_tokens(kText.size());
  Arena arena(memory);
  const auto transformer = arena.take<Transformer>(1);
  const auto samplers = arena.take<Samplers>(1);
  const auto tokens = arena.take<std::uint32_t>(2 * kMostTokens);
  if (arena.is_exhausted()) return Status::arena_too_small;
  new (transformer.data()) Transformer;
  new (samplers.data()) Samplers;
  const RunConfig run = run_config(image.config());
  Status status = transformer[0].init(image, run, memory.subspan(arena.used_bytes()));
  std::size_t count = 0;
  if (status == Status::ok) {
    status = tokenizer.encode(tokens.first(kMostTokens), count, tokens.last(kMostTokens), kText);
  }
  Sha256 hash;
  for (const std::uint32_t token : tokens.first(count)) hash_number(hash, token);
  const std::size_t most = std::min<std::size_t>(kPromptTokens, run.context_length);
  const auto prompt = tokens.first(std::min(most, count));
  if (status == Status::ok) status = samplers[0].configure(image.config());
  if (status != Status::ok) return status;
  status = hash_answer(hash, transformer[0], samplers[0], tokenizer, prompt);
  signature = 0;
  const auto digest = hash.finish();
  for (std::size_t i = 0; i < 8; ++i) signature = signature << 8 | digest[i];
  return status;
}

}  // namespace mote::firmware
