// SPDX-License-Identifier: Apache-2.0
// Conversations with a synthetic model: what is kept computes what a fresh run computes.
#include "chat/conversation.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/cluster_tokens.hpp"
#include "cluster/in_process.hpp"
#include "convert/convert.hpp"
#include "support/byte_level_model.hpp"
#include "support/error.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kContext = 160;

class ConversationTest : public testing::Test {
 protected:
  ConversationTest() : file_("mote-test") {
    const test::ByteLevelTexts texts = test::random_byte_level(1, 10);
    CheckpointShape shape = {.dim = 32,
                             .hidden_dim = 48,
                             .n_layers = 2,
                             .n_heads = 4,
                             .n_kv_heads = 2,
                             .head_size = 8,
                             .vocab_size = static_cast<std::uint32_t>(texts.texts.size()),
                             .context_length = kContext};
    ConvertOptions options;
    options.name = "chat";
    convert_checkpoint(file_.path(), SyntheticCheckpoint(shape, 3), texts.vocabulary(), options);
  }

  static std::string ask(Conversation& conversation, const std::string& message,
                         std::uint32_t tokens = 9) {
    std::string written;
    const ChatAnswer answer =
        conversation.ask(message, tokens, [&](std::string_view part) { written += part; });
    EXPECT_EQ(written, answer.text);
    EXPECT_LE(answer.result.generated_tokens, tokens);
    forgotten_ += answer.forgotten;
    return answer.text;
  }

  /// The answer of a model that sees the whole text for the first time.
  std::string answer_afresh(const std::vector<std::uint32_t>& text, std::uint32_t tokens) const {
    Engine engine(file_.path(), {});
    Sampler sampler;
    std::string answer;
    generate(engine, sampler, text, tokens, [&](std::string_view part) { answer += part; });
    answer.erase(0, answer.find_first_not_of(' '));
    return answer;
  }

  TemporaryFile file_;
  static inline std::uint32_t forgotten_ = 0;
};

/// Remembers the texts that it is asked to go on from.
class Spy : public TokenSource {
 public:
  explicit Spy(TokenSource& source) : source_(source) {}
  void start(std::span<const std::uint32_t> text, std::uint32_t max_tokens) override {
    texts.emplace_back(text.begin(), text.end());
    source_.start(text, max_tokens);
  }
  bool next_token(std::uint32_t& token) override { return source_.next_token(token); }
  bool is_full() const override { return source_.is_full(); }
  void stop() override { source_.stop(); }

  std::vector<std::vector<std::uint32_t>> texts;

 private:
  TokenSource& source_;
};

TEST_F(ConversationTest, WhatIsKeptGivesTheAnswersOfAFreshRun) {
  Engine engine(file_.path(), {});
  Sampler sampler;
  CachedTokens cached(engine, sampler);
  Spy spy(cached);
  const ChatEncoder encoder(engine.tokenizer(), ChatTemplate::chatml, "s", "m.mote");
  Conversation conversation(encoder, engine.tokenizer(), spy, kContext, "m.mote");
  for (const std::string message : {"a", "the cab", "12"}) {
    const std::string answer = ask(conversation, message, 5);
    EXPECT_EQ(answer, answer_afresh(spy.texts.back(), 5)) << message;
  }
  // Each token was run once: the last text, and what was drawn after it but for the last token.
  EXPECT_EQ(cached.computed(), engine.transformer().position());
  EXPECT_LE(cached.computed(), spy.texts.back().size() + 5);
}

TEST_F(ConversationTest, ChipsOfAClusterGiveTheSameAnswers) {
  Engine engine(file_.path(), {});
  Sampler sampler;
  CachedTokens cached(engine, sampler);
  const ChatEncoder encoder(engine.tokenizer(), ChatTemplate::chatml, "", "m.mote");
  Conversation alone(encoder, engine.tokenizer(), cached, kContext, "m.mote");
  const std::vector<const Image*> images(2, &engine.image());
  InProcessOptions options;
  options.run = {kContext, 16, 1};
  InProcessCluster cluster(images, options);
  SamplerConfig greedy;
  greedy.temperature_q16 = 0;
  greedy.top_k = 1;
  ClusterTokens source(cluster, greedy, kContext);
  Conversation together(encoder, engine.tokenizer(), source, kContext, "m.mote");
  for (const std::string message : {"a", "bc"}) {
    EXPECT_EQ(ask(alone, message), ask(together, message));
  }
}

TEST_F(ConversationTest, TheOldestTurnsAreForgottenWhereTheContextEnds) {
  Engine engine(file_.path(), {});
  Sampler sampler;
  CachedTokens cached(engine, sampler);
  Spy spy(cached);
  const ChatEncoder encoder(engine.tokenizer(), ChatTemplate::chatml, "zz", "m.mote");
  Conversation conversation(encoder, engine.tokenizer(), spy, kContext, "m.mote");
  forgotten_ = 0;
  std::vector<std::string> answers;
  for (int turn = 0; turn < 8; ++turn) {
    const std::string answer = ask(conversation, "message " + std::to_string(turn), 12);
    EXPECT_EQ(answer, answer_afresh(spy.texts.back(), 12)) << turn;
    EXPECT_LE(spy.texts.back().size(), kContext * 7 / 8);
  }
  EXPECT_GT(forgotten_, 3U);
  // The system prompt stays at the beginning.
  const ChatEncoder with_turn(engine.tokenizer(), ChatTemplate::chatml, "zz", "m.mote");
  const auto begin = with_turn.encode({{"message", {}}});
  EXPECT_TRUE(std::equal(begin.begin(), begin.begin() + 9, spy.texts.back().begin()));
}

TEST_F(ConversationTest, AMessageThatDoesNotFitIsRefusedAndForgotten) {
  Engine engine(file_.path(), {});
  Sampler sampler;
  CachedTokens cached(engine, sampler);
  const ChatEncoder encoder(engine.tokenizer(), ChatTemplate::chatml, "", "m.mote");
  Conversation conversation(encoder, engine.tokenizer(), cached, kContext, "m.mote");
  ask(conversation, "a");
  try {
    ask(conversation, std::string(kContext + 1, 'z'));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the context 160 positions"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(ask(conversation, "b", 5), answer_afresh(encoder.encode({{"b", {}}}), 5));
}

TEST_F(ConversationTest, AnAnswerEndsWithTheContext) {
  Engine engine(file_.path(), {});
  Sampler sampler;
  CachedTokens cached(engine, sampler);
  const ChatEncoder encoder(engine.tokenizer(), ChatTemplate::chatml, "", "m.mote");
  Conversation conversation(encoder, engine.tokenizer(), cached, kContext, "m.mote");
  const ChatAnswer answer = conversation.ask("a", 1000, [](std::string_view) {});
  EXPECT_TRUE(answer.result.context_full || answer.result.ended);
  EXPECT_FALSE(ask(conversation, "b", 3).empty() && forgotten_ == 0);
}

}  // namespace
}  // namespace mote::host
