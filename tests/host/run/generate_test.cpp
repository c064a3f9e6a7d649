// SPDX-License-Identifier: Apache-2.0
#include "run/generate.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/chain_model.hpp"
#include "support/error.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

struct Generated {
  GenerateResult result;
  std::vector<std::string> parts;  // as they were handed out
  std::uint32_t position = 0;      // afterwards

  std::string text() const {
    std::string all;
    for (const std::string& part : parts) all += part;
    return all;
  }
};

/// What a model that says `pieces` writes after `prompt`.
Generated run_chain(const std::vector<std::string>& pieces,
                    const std::vector<std::uint32_t>& prompt, std::uint32_t max_tokens,
                    std::uint32_t context_length = 64) {
  const TemporaryFile file("mote-test");
  test::write_chain_image(file.path(), pieces, context_length);
  Engine engine(file.path(), {});
  Sampler sampler;
  Generated run;
  run.result = generate(engine, sampler, prompt, max_tokens,
                        [&](std::string_view part) { run.parts.emplace_back(part); });
  run.position = engine.transformer().position();
  return run;
}

constexpr std::uint32_t kBos = 1;
constexpr std::uint32_t kNoLimit = 0xffffffffU;

TEST(Generate, stops_at_the_end_token) {
  const Generated run = run_chain({"one", " two", " three"}, {kBos}, kNoLimit);
  EXPECT_EQ(run.text(), "one two three");
  EXPECT_TRUE(run.result.ended);
  EXPECT_FALSE(run.result.context_full);
  EXPECT_EQ(run.result.prompt_tokens, 1U);
  EXPECT_EQ(run.result.generated_tokens, 3U);
}

TEST(Generate, stops_after_as_many_tokens_as_were_asked_for) {
  for (const std::uint32_t count : {0U, 1U, 2U, 3U}) {
    const Generated run = run_chain({"a", "b", "c"}, {kBos}, count);
    EXPECT_EQ(run.text(), std::string("abc").substr(0, count));
    EXPECT_EQ(run.result.generated_tokens, count);
    EXPECT_FALSE(run.result.ended);
    EXPECT_FALSE(run.result.context_full);
  }
}

TEST(Generate, stops_where_the_context_is_full) {
  // Three positions hold <s>, a and b; c is drawn from them and needs none.
  const Generated run = run_chain({"a", "b", "c", "d", "e"}, {kBos}, kNoLimit, 3);
  EXPECT_EQ(run.text(), "abc");
  EXPECT_TRUE(run.result.context_full);
  EXPECT_FALSE(run.result.ended);
  EXPECT_EQ(run.position, 3U);
}

TEST(Generate, draws_one_token_where_the_prompt_fills_the_context) {
  const Generated run = run_chain({"a", "b", "c"}, {kBos, 3}, kNoLimit, 2);
  EXPECT_EQ(run.text(), "b");
  EXPECT_TRUE(run.result.context_full);
}

TEST(Generate, goes_on_from_the_last_token_of_the_prompt) {
  EXPECT_EQ(run_chain({"a", "b", "c"}, {kBos, 3, 3, 4}, kNoLimit).text(), "c");
  EXPECT_EQ(run_chain({"a", "b", "c"}, {4}, kNoLimit).text(), "c");
}

TEST(Generate, hands_out_whole_characters_only) {
  // Characters of two, three and four bytes, torn in all places; the last one never ends.
  const Generated run =
      run_chain({"x\xc3", "\xa9", "\xe2", "\x82", "\xac\xf0", "\x9f\x98", "\x80y", "z", "\xe2\x82"},
                {kBos}, kNoLimit);
  EXPECT_EQ(run.text(), "xé€😀yz\xe2\x82");
  const std::vector<std::string> expected = {"x", "é", "", "", "€", "", "😀y", "z", "", "\xe2\x82"};
  EXPECT_EQ(run.parts, expected);
}

TEST(Generate, a_character_that_the_limit_cuts_is_not_lost) {
  EXPECT_EQ(run_chain({"\xe2", "\x82", "\xac"}, {kBos}, 2).text(), "\xe2\x82");
}

TEST(Generate, a_prompt_that_does_not_fit_is_an_error) {
  EXPECT_THROW(run_chain({"a"}, {kBos, 3, 3}, 1, 2), Error);
}

TEST(Generate, the_sampler_knows_the_prompt_and_what_it_drew) {
  const TemporaryFile file("mote-test");
  test::write_chain_image(file.path(), {"a", "b", "c"}, 64);
  Engine engine(file.path(), {});
  SamplerConfig config;
  config.repeat_penalty_q16 = 16 * kOneQ16;
  // A penalised token still has the only positive logit; the result is the same text, but for the
  // penalty of "a", which stands in the prompt, the logit is a sixteenth.
  Sampler sampler;
  ASSERT_EQ(sampler.configure(config), Status::ok);
  std::string text;
  generate(engine, sampler, std::vector<std::uint32_t>{3, 5, kBos}, 1,
           [&](std::string_view part) { text += part; });
  EXPECT_EQ(text, "a");
  const std::int32_t logit = engine.logits()[3];
  EXPECT_EQ(engine.transformer().candidates(sampler)[0].logit, (logit + 8) / 16);
}

}  // namespace
}  // namespace mote::host
