// SPDX-License-Identifier: Apache-2.0
#include "run/engine.hpp"

#include <fmt/format.h>

#include "support/error.hpp"

namespace mote::host {
namespace {

/// The results of so many rows stay near the processor.
constexpr std::uint32_t kRowsPerCall = 1024;

RunConfig run_config(const std::string& path, const ModelConfig& config,
                     const EngineOptions& options) {
  if (options.context_length > config.context_length) {
    throw Error(fmt::format("{}: a context of {} positions was asked for; the model has 1 to {}",
                            path, options.context_length, config.context_length));
  }
  if (options.candidates > config.vocab_size) {
    throw Error(fmt::format("{}: {} candidates were asked for; the vocabulary has {}", path,
                            options.candidates, config.vocab_size));
  }
  RunConfig run;
  run.context_length = options.context_length != 0 ? options.context_length : config.context_length;
  run.batch = options.batch;
  run.candidates = options.candidates;
  run.rows_per_call = kRowsPerCall;
  return run;
}

const Image& demand_whole(const std::string& path, const Image& image) {
  if (image.is_shard()) {
    throw Error(fmt::format("{}: holds the part of rank {} of {} chips; a whole model is needed",
                            path, image.shard().rank, image.shard().chips));
  }
  return image;
}

}  // namespace

Tokenizer open_tokenizer(const std::string& path, const Image& image) {
  Tokenizer tokenizer;
  check(tokenizer.open(image.section_bytes(SectionKind::tokenizer)), path);
  if (tokenizer.vocab_size() != image.config().vocab_size) {
    throw Error(fmt::format("{}: the tokenizer has {} tokens, the model {}", path,
                            tokenizer.vocab_size(), image.config().vocab_size));
  }
  return tokenizer;
}

Engine::Engine(const std::string& path, const EngineOptions& options)
    : path_(path),
      file_(path, options.verify),
      tokenizer_(open_tokenizer(path, demand_whole(path, image()))),
      transformer_(image(), run_config(path, image().config(), options), options.threads, path) {}

std::vector<std::uint32_t> encode(const Tokenizer& tokenizer, const std::string& path,
                                  std::string_view text, EncodeOptions options) {
  std::vector<std::uint32_t> tokens(Tokenizer::max_tokens(text.size()));
  std::vector<std::uint32_t> scratch(tokens.size());
  std::size_t count = 0;
  check(tokenizer.encode(tokens, count, scratch, text, options), path);
  tokens.resize(count);
  return tokens;
}

std::vector<std::uint32_t> Engine::encode(std::string_view text, EncodeOptions options) const {
  return host::encode(tokenizer_, path_, text, options);
}

void Engine::decode(std::span<const std::uint32_t> tokens) {
  const Status status = transformer_.decode(tokens);
  if (status == Status::context_full) {
    throw Error(fmt::format("{}: {} tokens do not fit the {} positions that are left of {}", path_,
                            tokens.size(), transformer_.position_limit() - transformer_.position(),
                            transformer_.position_limit()));
  }
  check(status, path_);
}

std::vector<std::int32_t> Engine::logits() {
  std::vector<std::int32_t> logits(image().config().vocab_size);
  transformer_.logits(logits);
  return logits;
}

}  // namespace mote::host
