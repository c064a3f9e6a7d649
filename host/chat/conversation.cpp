// SPDX-License-Identifier: Apache-2.0
#include "chat/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "support/error.hpp"

namespace mote::host {
namespace {

/// A source that remembers what it drew.
class RecordedTokens : public TokenSource {
 public:
  explicit RecordedTokens(TokenSource& source) : source_(source) {}

  void start(std::span<const std::uint32_t> text, std::uint32_t max_tokens) override {
    source_.start(text, max_tokens);
  }
  bool next_token(std::uint32_t& token) override {
    if (!source_.next_token(token)) return false;
    drawn_.push_back(token);
    return true;
  }
  bool is_full() const override { return source_.is_full(); }
  void stop() override { source_.stop(); }
  std::vector<std::uint32_t> take() { return std::move(drawn_); }

 private:
  TokenSource& source_;
  std::vector<std::uint32_t> drawn_;
};

}  // namespace

void CachedTokens::run(std::span<const std::uint32_t> tokens) {
  engine_.decode(tokens);
  seen_.insert(seen_.end(), tokens.begin(), tokens.end());
  computed_ += tokens.size();
}

void CachedTokens::start(std::span<const std::uint32_t> text, std::uint32_t /*max_tokens*/) {
  const bool goes_on =
      seen_.size() < text.size() && std::equal(seen_.begin(), seen_.end(), text.begin());
  if (!goes_on) {
    engine_.transformer().reset();
    seen_.clear();
  }
  const auto more = text.subspan(seen_.size());
  for (const std::uint32_t token : more) sampler_.accept(token);
  run(more);
  has_last_ = false;
}

bool CachedTokens::next_token(std::uint32_t& token) {
  if (has_last_) run({&last_, 1});
  token = sampler_.sample(engine_.transformer().candidates(sampler_));
  sampler_.accept(token);
  last_ = token;
  has_last_ = true;
  return true;
}

bool CachedTokens::is_full() const {
  const ParallelTransformer& model = engine_.transformer();
  return has_last_ && model.position() == model.position_limit();
}

std::vector<std::uint32_t> Conversation::make_room(std::uint32_t& forgotten) {
  const std::uint32_t answer_room = std::max(positions_ / 8, 1U);
  while (true) {
    std::vector<std::uint32_t> tokens = encoder_.encode(turns_);
    if (tokens.size() + answer_room <= positions_) return tokens;
    if (turns_.size() == 1 && tokens.size() <= positions_) return tokens;
    if (turns_.size() == 1) {
      turns_.clear();
      throw Error(
          fmt::format("{}: the message and what belongs to it have {} tokens, the context "
                      "{} positions",
                      where_, tokens.size(), positions_));
    }
    turns_.erase(turns_.begin());
    ++forgotten;
  }
}

ChatAnswer Conversation::ask(std::string_view message, std::uint32_t max_tokens,
                             const std::function<void(std::string_view)>& write) {
  ChatAnswer answer;
  turns_.push_back({std::string(message), {}});
  const std::vector<std::uint32_t> tokens = make_room(answer.forgotten);
  RecordedTokens source(source_);
  const auto write_on = [&](std::string_view text) {
    if (answer.text.empty()) {
      text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
    answer.text += text;
    write(text);
  };
  answer.result = generate(source, tokenizer_, tokens, max_tokens, write_on);
  turns_.back().answer = source.take();
  if (answer.result.ended) turns_.back().answer.pop_back();
  return answer;
}

}  // namespace mote::host
