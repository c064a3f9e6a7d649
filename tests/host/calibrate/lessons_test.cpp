// SPDX-License-Identifier: Apache-2.0
#include "calibrate/lessons.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace mote::host {
namespace {

constexpr std::size_t kGiven = 24;

/// Passages of 300 tokens, the first kGiven given.
CalibrationText text_of(std::size_t passages) {
  CalibrationText text;
  text.passages.assign(passages, std::vector<std::uint32_t>(300, 1));
  text.tokens = passages * 300;
  text.longest = 300;
  return text;
}

std::vector<std::size_t> read(Lessons& lessons, std::size_t passages) {
  std::vector<std::size_t> all;
  while (all.size() < passages) {
    const std::vector<std::size_t> step = lessons.next();
    EXPECT_EQ(step.size(), 5U);  // 1,500 tokens
    all.insert(all.end(), step.begin(), step.end());
  }
  return all;
}

TEST(Lessons, one_given_passage_in_eight_examines_and_never_teaches) {
  const CalibrationText text = text_of(kGiven + 10);
  Lessons lessons(text, kGiven);
  EXPECT_EQ(lessons.held_out(), (std::vector<std::size_t>{7, 15, 23}));
  for (const std::size_t passage : read(lessons, 500)) {
    EXPECT_EQ(std::ranges::count(lessons.held_out(), passage), 0);
  }
}

TEST(Lessons, given_and_written_passages_take_turns_and_all_are_read) {
  const CalibrationText text = text_of(kGiven + 21);
  Lessons lessons(text, kGiven);
  const std::vector<std::size_t> passages = read(lessons, 420);
  for (std::size_t i = 0; i < passages.size(); ++i) {
    EXPECT_EQ(passages[i] < kGiven, i % 2 == 0) << i;
  }
  // Twenty-one of each kind: each once before any a second time, and in another order then.
  std::vector<std::size_t> orders[2];
  for (std::size_t round = 0; round < 2; ++round) {
    const auto first = passages.begin() + static_cast<std::ptrdiff_t>(round * 42);
    EXPECT_EQ(std::set<std::size_t>(first, first + 42).size(), 42U);
    orders[round].assign(first, first + 42);
  }
  EXPECT_NE(orders[0], orders[1]);
  Lessons again(text, kGiven);
  EXPECT_EQ(read(again, 420), passages);
}

TEST(Lessons, a_text_shorter_than_a_step_is_read_once_a_step) {
  const CalibrationText text = text_of(3);
  Lessons lessons(text, 2);
  EXPECT_EQ(lessons.held_out(), (std::vector<std::size_t>{0, 1}));  // nothing to spare
  std::vector<std::size_t> step = lessons.next();
  std::ranges::sort(step);
  EXPECT_EQ(step.size(), 3U);
  const CalibrationText single = text_of(1);
  Lessons alone(single, 1);
  EXPECT_EQ(alone.next(), std::vector<std::size_t>{0});
}

}  // namespace
}  // namespace mote::host
