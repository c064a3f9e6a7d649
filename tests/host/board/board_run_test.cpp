// SPDX-License-Identifier: Apache-2.0
#include "board/board_run.hpp"

#include <gtest/gtest.h>

#include "support/error.hpp"

namespace mote::host {
namespace {

TEST(ParseKill, takes_a_chip_and_a_token) {
  const PlannedKill kill = parse_kill("12@345");
  EXPECT_EQ(kill.chip, 12U);
  EXPECT_EQ(kill.token, 345U);
  for (const char* text : {"", "2", "2@", "@3", "2@0", "2@3x", "x@3", "-1@3", "2 @3"}) {
    EXPECT_THROW(parse_kill(text), Error) << text;
  }
}

TEST(FormatRunCommand, says_what_is_asked_exactly) {
  BoardQuestion question;
  question.prompt = "Once";
  question.max_tokens = 12;
  EXPECT_EQ(format_run_command(question, 0), "run n=12 batch=8 temperature=0.000000 -- Once");
  question.batch = 3;
  question.sampler = {52429, 40, 62259, 3277, 72090, 64, 77};
  // Six digits tell Q16 numbers apart.
  EXPECT_EQ(format_run_command(question, 96),
            "run n=12 batch=3 context=96 temperature=0.800003 top_k=40 top_p=0.949997 "
            "min_p=0.050003 seed=77 repeat_penalty=1.100006 -- Once");
}

TEST(FormatRunCommand, escapes_what_would_end_the_line) {
  BoardQuestion question;
  question.prompt = "a\\b\n\x03\xc3\xa9";
  EXPECT_TRUE(format_run_command(question, 0).ends_with(" -- a\\\\b\\x0a\\x03\xc3\xa9"));
}

TEST(FormatRunCommand, refuses_what_no_console_takes) {
  BoardQuestion question;
  const std::size_t rest = format_run_command(question, 0).size() + 1;
  question.prompt = std::string(1023 - rest, 'x');
  EXPECT_EQ(format_run_command(question, 0).size() + 1, 1023U);
  question.prompt += 'x';
  EXPECT_THROW(format_run_command(question, 0), Error);
}

}  // namespace
}  // namespace mote::host
