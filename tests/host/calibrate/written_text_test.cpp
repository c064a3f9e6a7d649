// SPDX-License-Identifier: Apache-2.0
#include "calibrate/written_text.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "run/engine.hpp"
#include "support/each_kernel_set.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"

namespace mote::host {
namespace {

class WriteText : public testing::Test {
 protected:
  WriteText() {
    for (const std::size_t length : {3U, 9U, 1U}) {
      text_.passages.emplace_back(length, static_cast<std::uint32_t>(40 + length));
      text_.tokens += length;
    }
    text_.longest = 9;
  }
  CalibrationText write(std::uint64_t tokens) const {
    return write_text(image_.image(), tokenizer_, text_, tokens);
  }

  test::OpenImage image_{test::mixed_model({test::causal(), test::window_of(4, 1)})};
  Tokenizer tokenizer_ = open_tokenizer("model", image_.image());
  CalibrationText text_;
};

TEST_F(WriteText, passages_begin_and_end_like_those_of_the_text) {
  const CalibrationText written = write(400);
  std::uint64_t tokens = 0;
  std::set<std::uint32_t> drawn;
  for (std::size_t i = 0; i < written.passages.size(); ++i) {
    const auto& passage = written.passages[i];
    const auto& model = text_.passages[i % 3];
    ASSERT_GE(passage.size(), 1U);
    EXPECT_LE(passage.size(), model.size());
    EXPECT_EQ(passage.front(), model.front());
    for (std::size_t t = 1; t < passage.size(); ++t) {
      EXPECT_FALSE(tokenizer_.is_end(passage[t]) || passage[t] == tokenizer_.bos());
      drawn.insert(passage[t]);
    }
    tokens += passage.size();
  }
  EXPECT_EQ(written.tokens, tokens);
  EXPECT_GE(tokens, 400U);
  EXPECT_LT(tokens, 409U);
  EXPECT_EQ(written.longest, 9U);
  EXPECT_GT(drawn.size(), 20U) << "a model of random weights is not sure of anything";
}

TEST_F(WriteText, the_same_with_every_set_of_kernels) {
  const CalibrationText wanted = write(100);
  test::use_each_kernel_set(
      [&](const KernelSet&) { EXPECT_EQ(write(100).passages, wanted.passages); });
}

TEST_F(WriteText, nothing_where_nothing_is_asked_for) {
  EXPECT_TRUE(write(0).passages.empty());
}

}  // namespace
}  // namespace mote::host
