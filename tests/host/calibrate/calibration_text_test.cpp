// SPDX-License-Identifier: Apache-2.0
#include "calibrate/calibration_text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "run/engine.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"

namespace mote::host {
namespace {

class ReadCalibrationText : public testing::Test {
 protected:
  CalibrationText read(const std::string& text, std::uint32_t context) const {
    return read_calibration_text(text, open_tokenizer("model", image_.image()), context, "a.txt");
  }
  test::OpenImage image_{test::mixed_model({test::causal()})};
};

std::string repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST_F(ReadCalibrationText, every_token_is_in_one_passage_that_fits) {
  const CalibrationText whole = read(repeat("abcab", 100), 1000);
  ASSERT_EQ(whole.passages.size(), 1U);
  EXPECT_EQ(whole.passages[0].size(), whole.tokens);
  const CalibrationText cut = read(repeat("abcab", 100), 7);
  EXPECT_EQ(cut.longest, 7U);
  std::vector<std::uint32_t> joined;
  for (const auto& passage : cut.passages) {
    EXPECT_LE(passage.size(), 7U);
    joined.insert(joined.end(), passage.begin(), passage.end());
  }
  EXPECT_EQ(joined, whole.passages[0]);
}

TEST_F(ReadCalibrationText, stories_begin_anew) {
  const CalibrationText text = read(repeat("abcab abc\n<|endoftext|>\n", 80), 1000);
  EXPECT_EQ(text.passages.size(), 80U);
  for (const auto& passage : text.passages) EXPECT_EQ(passage, text.passages[0]);
}

TEST_F(ReadCalibrationText, too_short_a_text_is_refused_with_what_is_needed) {
  for (const std::string text : {"", " \n ", "<|endoftext|>\n", "abc"}) {
    try {
      read(text, 100);
      FAIL() << "took \"" << text << '"';
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with("a.txt: holds ")) << message;
      EXPECT_NE(message.find("needs 256 or more"), std::string::npos) << message;
    }
  }
}

TEST_F(ReadCalibrationText, sample_is_spread_and_large_enough) {
  const CalibrationText text = read(repeat("abcab abc\n<|endoftext|>\n", 300), 1000);
  for (const std::uint64_t tokens : {std::uint64_t{0}, std::uint64_t{100}, text.tokens / 2}) {
    const CalibrationText sample = sample_text(text, tokens);
    EXPECT_GE(sample.tokens, tokens);
    EXPECT_LT(sample.passages.size(), text.passages.size());
  }
  EXPECT_EQ(sample_text(text, text.tokens * 2).passages.size(), text.passages.size());
}

}  // namespace
}  // namespace mote::host
