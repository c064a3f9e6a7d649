// SPDX-License-Identifier: Apache-2.0
// A conversation with a chat model, turn by turn.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_template.hpp"
#include "run/generate.hpp"

namespace mote::host {

/// One chip that keeps what it has computed: of a text that begins with what it has seen, only the
/// rest is run.
class CachedTokens : public TokenSource {
 public:
  /// Both outlive this.
  CachedTokens(Engine& engine, Sampler& sampler) : engine_(engine), sampler_(sampler) {}

  void start(std::span<const std::uint32_t> text, std::uint32_t max_tokens) override;
  bool next_token(std::uint32_t& token) override;
  bool is_full() const override;
  void stop() override {}
  /// Tokens that were run, of all texts so far.
  std::uint64_t computed() const { return computed_; }

 private:
  void run(std::span<const std::uint32_t> tokens);

  Engine& engine_;
  Sampler& sampler_;
  std::vector<std::uint32_t> seen_;
  bool has_last_ = false;
  std::uint32_t last_ = 0;  // drawn, and not yet a position
  std::uint64_t computed_ = 0;
};

struct ChatAnswer {
  GenerateResult result;
  std::string text;
  std::uint32_t forgotten = 0;  // turns that were dropped to make room
};

class Conversation {
 public:
  /// Texts of up to `positions` tokens fit; all others outlive this.
  Conversation(const ChatEncoder& encoder, const Tokenizer& tokenizer, TokenSource& source,
               std::uint32_t positions, std::string where)
      : encoder_(encoder),
        tokenizer_(tokenizer),
        source_(source),
        positions_(positions),
        where_(std::move(where)) {}

  /// Answers `message`, at most `max_tokens` tokens; `write` gets the text as it comes, without the
  /// spaces that it begins with. Where the conversation would leave less than an eighth of the
  /// context for the answer, its oldest turns are forgotten (never the system prompt). Throws
  /// `Error` where the message alone is too long; it is then as if it had not been asked.
  ChatAnswer ask(std::string_view message, std::uint32_t max_tokens,
                 const std::function<void(std::string_view)>& write);

 private:
  std::vector<std::uint32_t> make_room(std::uint32_t& forgotten);

  const ChatEncoder& encoder_;
  const Tokenizer& tokenizer_;
  TokenSource& source_;
  std::uint32_t positions_;
  std::string where_;
  std::vector<ChatTurn> turns_;
};

}  // namespace mote::host
