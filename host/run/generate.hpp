// SPDX-License-Identifier: Apache-2.0
// Text from a prompt, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "mote/sampler.hpp"
#include "mote/tokenizer.hpp"
#include "run/engine.hpp"

namespace mote::host {

struct GenerateResult {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t generated_tokens = 0;
  double prompt_seconds = 0;
  double generation_seconds = 0;
  bool ended = false;         // an end token was drawn
  bool context_full = false;  // no position was left
};

/// What draws tokens: one chip, or several that answer as one. All members throw `Error` where they
/// cannot go on.
class TokenSource {
 public:
  TokenSource() = default;
  virtual ~TokenSource() = default;
  TokenSource(const TokenSource&) = delete;
  TokenSource& operator=(const TokenSource&) = delete;

  /// Takes in `prompt`, at least one token; up to `max_tokens` will be drawn.
  virtual void start(std::span<const std::uint32_t> prompt, std::uint32_t max_tokens) = 0;
  /// Draws a token; false where none is left of those that were asked for.
  virtual bool next_token(std::uint32_t& token) = 0;
  /// Whether the tokens so far leave no position to draw another.
  virtual bool is_full() const = 0;
  /// No more tokens are wanted.
  virtual void stop() = 0;
};

/// One chip.
class EngineTokens : public TokenSource {
 public:
  /// Both outlive this.
  EngineTokens(Engine& engine, Sampler& sampler) : engine_(engine), sampler_(sampler) {}

  void start(std::span<const std::uint32_t> prompt, std::uint32_t max_tokens) override;
  bool next_token(std::uint32_t& token) override;
  bool is_full() const override;
  void stop() override {}

 private:
  Engine& engine_;
  Sampler& sampler_;
  bool has_last_ = false;
  std::uint32_t last_ = 0;  // drawn, and not yet a position
};

/// Runs `prompt` (at least one token), then draws up to `max_tokens` tokens and hands the text of
/// each, whole UTF-8 characters only, to `write`. Stops at an end token and at the end of the
/// context.
GenerateResult generate(TokenSource& source, const Tokenizer& tokenizer,
                        std::span<const std::uint32_t> prompt, std::uint32_t max_tokens,
                        const std::function<void(std::string_view)>& write);
GenerateResult generate(Engine& engine, Sampler& sampler, std::span<const std::uint32_t> prompt,
                        std::uint32_t max_tokens,
                        const std::function<void(std::string_view)>& write);

}  // namespace mote::host
