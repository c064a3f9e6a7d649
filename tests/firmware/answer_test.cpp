// SPDX-License-Identifier: Apache-2.0
#include "firmware/answer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "cluster/chip.hpp"
#include "support/firmware_model.hpp"

namespace mote::firmware {
namespace {

class ParseRun : public testing::Test {
 protected:
  Complaint parse(std::string line) {
    line_ = std::move(line);
    ModelConfig config;
    config.vocab_size = 300;
    return parse_run(request_, line_, config);
  }
  std::string text() const { return {request_.text.data(), request_.text.size()}; }

  std::string line_;
  RunRequest request_;
};

TEST_F(ParseRun, is_greedy_and_without_limits_where_nothing_is_said) {
  ASSERT_TRUE(parse("Once upon a time").is_none());
  EXPECT_EQ(text(), "Once upon a time");
  EXPECT_EQ(request_.tokens, UINT32_MAX);
  EXPECT_EQ(request_.context_length, 0U);
  EXPECT_EQ(request_.batch, 0U);
  EXPECT_EQ(request_.sampler.temperature_q16, 0U);
  EXPECT_EQ(request_.sampler.top_k, 1U);
}

TEST_F(ParseRun, takes_options_before_the_text) {
  ASSERT_TRUE(
      parse("n=7 temperature=0.5 top_k=0 context=64 batch=2 seed=9 -- n=1 \\x41\\n").is_none());
  EXPECT_EQ(text(), "n=1 A\n");
  EXPECT_EQ(request_.tokens, 7U);
  EXPECT_EQ(request_.context_length, 64U);
  EXPECT_EQ(request_.batch, 2U);
  EXPECT_EQ(request_.sampler.temperature_q16, kOneQ16 / 2);
  EXPECT_EQ(request_.sampler.top_k, 300U);
  EXPECT_EQ(request_.sampler.seed, 9U);
}

TEST_F(ParseRun, names_what_is_wrong) {
  EXPECT_EQ(parse("temperature=101 a").word, "temperature=101");
  EXPECT_EQ(parse("heat=1 a").word, "heat=1");
  EXPECT_EQ(parse("n=0 a").word, "n=0");
  EXPECT_FALSE(parse("-- a\\q").is_none());
}

class EncodeAtEnd : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(tokenizer_.open(image_->section_bytes(SectionKind::tokenizer)), Status::ok);
  }

  test::OpenImage image_{test::make_image(test::firmware_model())};
  Tokenizer tokenizer_;
};

TEST_F(EncodeAtEnd, takes_only_the_end_of_the_memory) {
  host::ArenaMemory memory(1024);
  std::span<std::byte> room = memory.span();
  const auto tokens = encode_at_end(room, tokenizer_, "abc");
  const test::Tokens expected = test::encoded(image_.image(), "abc");
  EXPECT_EQ(test::Tokens(tokens.begin(), tokens.end()), expected);
  EXPECT_EQ(room.data(), memory.span().data());
  EXPECT_LE(reinterpret_cast<std::byte*>(tokens.data()) - room.data(), 1024);
  EXPECT_GE(reinterpret_cast<std::byte*>(tokens.data()), room.data() + room.size());
}

TEST_F(EncodeAtEnd, is_empty_where_there_is_no_room) {
  host::ArenaMemory memory(1024);
  std::span<std::byte> room = memory.span().first(32);
  EXPECT_TRUE(encode_at_end(room, tokenizer_, std::string(100, 'a')).empty());
}

TEST(AnswerEnd, each_has_a_name) {
  EXPECT_EQ(end_name(AnswerEnd::count), "n");
  EXPECT_EQ(end_name(AnswerEnd::end_token), "end_token");
  EXPECT_EQ(end_name(AnswerEnd::context), "context");
  EXPECT_EQ(end_name(AnswerEnd::stopped), "stopped");
}

}  // namespace
}  // namespace mote::firmware
