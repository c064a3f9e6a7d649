// SPDX-License-Identifier: Apache-2.0
#include "mote/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace mote {
namespace {

using Candidates = std::vector<Candidate>;

constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max();
constexpr int kDraws = 200000;

std::int32_t q16(double value) {
  return static_cast<std::int32_t>(std::lround(value * 65536));
}
std::uint32_t uq16(double value) {
  return static_cast<std::uint32_t>(std::lround(value * 65536));
}

Sampler configured(const SamplerConfig& config) {
  Sampler sampler;
  EXPECT_EQ(sampler.configure(config), Status::ok);
  return sampler;
}

// Ten candidates, best first; the token is the place in the list plus 100.
Candidates ten_candidates() {
  Candidates candidates;
  for (const double logit : {3.0, 2.5, 2.5, 2.0, 1.25, 1.0, 0.0, -0.5, -2.0, -9.0}) {
    candidates.push_back({q16(logit), static_cast<std::uint32_t>(100 + candidates.size())});
  }
  return candidates;
}

// The probabilities by their definition, in double precision.
std::vector<double> probabilities(const Candidates& candidates, const SamplerConfig& config) {
  std::vector<double> p;
  for (const Candidate& candidate : candidates) {
    const double difference = (1.0 * candidates[0].logit - candidate.logit) / 65536;
    p.push_back(std::exp(-difference / (config.temperature_q16 / 65536.0)));
  }
  p.resize(std::min<std::size_t>(p.size(), config.top_k));
  std::erase_if(p, [&](double x) { return x < config.min_p_q16 / 65536.0; });
  double mass = 0;
  for (const double x : p) mass += x;
  double nucleus = 0;
  std::size_t count = 0;
  while (count < p.size() && nucleus < mass * config.top_p_q16 / 65536.0) nucleus += p[count++];
  p.resize(config.top_p_q16 == kOneQ16 ? p.size() : count);
  double kept = 0;
  for (const double x : p) kept += x;
  for (double& x : p) x /= kept;
  p.resize(candidates.size());
  return p;
}

// Every frequency within five standard deviations of its binomial distribution (and half a draw
// for the rare), and chi-square within five standard deviations of its mean.
void expect_distribution(SamplerConfig config, const Candidates& candidates) {
  config.seed = 7;
  Sampler sampler = configured(config);
  std::vector<int> counts(candidates.size());
  for (int i = 0; i < kDraws; ++i) ++counts.at(sampler.sample(candidates) - 100);
  const std::vector<double> p = probabilities(candidates, config);
  double chi_square = 0;
  int degrees = -1;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double expected = p[i] * kDraws;
    const double deviation = counts[i] - expected;
    EXPECT_LE(std::abs(deviation), 5 * std::sqrt(expected * (1 - p[i])) + (p[i] > 0 ? 0.5 : 0))
        << "candidate " << i << " of probability " << p[i];
    if (expected < 5) continue;  // too rare for chi-square's approximation
    chi_square += deviation * deviation / expected;
    ++degrees;
  }
  EXPECT_LE(chi_square, degrees + 5 * std::sqrt(2.0 * degrees));
}

TEST(Pcg32, EqualsTheReference) {
  // The first outputs of the reference's demonstration program, with seed 42 and sequence 54.
  Pcg32 random(42);
  for (const std::uint32_t expected :
       {0xa15c02b7U, 0x7b47f409U, 0xba1d3330U, 0x83d2f293U, 0xbfa4784bU, 0xcbed606eU}) {
    EXPECT_EQ(random.next(), expected);
  }
  random.reseed(42);
  EXPECT_EQ(random.next(), 0xa15c02b7U);
}

TEST(Sampler, RefusesSettingsOutOfRange) {
  const auto status = [](auto change) {
    SamplerConfig config;
    change(config);
    return Sampler{}.configure(config);
  };
  EXPECT_EQ(status([](SamplerConfig&) {}), Status::ok);
  EXPECT_EQ(status([](auto& c) { c.top_k = 0; }), Status::bad_sampler_config);
  EXPECT_EQ(status([](auto& c) { c.top_k = 0xffffffffU; }), Status::ok);
  EXPECT_EQ(status([](auto& c) { c.top_p_q16 = 0; }), Status::bad_sampler_config);
  EXPECT_EQ(status([](auto& c) { c.top_p_q16 = 1; }), Status::ok);
  EXPECT_EQ(status([](auto& c) { c.top_p_q16 = kOneQ16 + 1; }), Status::bad_sampler_config);
  EXPECT_EQ(status([](auto& c) { c.min_p_q16 = kOneQ16 - 1; }), Status::ok);
  EXPECT_EQ(status([](auto& c) { c.min_p_q16 = kOneQ16; }), Status::bad_sampler_config);
  EXPECT_EQ(status([](auto& c) { c.repeat_penalty_q16 = kOneQ16 - 1; }),
            Status::bad_sampler_config);
  EXPECT_EQ(status([](auto& c) { c.repeat_penalty_q16 = 16 * kOneQ16; }), Status::ok);
  EXPECT_EQ(status([](auto& c) { c.repeat_penalty_q16 = 16 * kOneQ16 + 1; }),
            Status::bad_sampler_config);
  EXPECT_EQ(status([](auto& c) { c.repeat_window = 0; }), Status::ok);
  EXPECT_EQ(status([](auto& c) { c.repeat_window = kMaxRepeatWindow + 1; }),
            Status::bad_sampler_config);
}

TEST(Sampler, GreedyTakesTheFirst) {
  Sampler sampler = configured({.temperature_q16 = 0, .top_k = 10});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(sampler.sample(ten_candidates()), 100U);
}

TEST(Sampler, ATopKOfOneTakesTheFirst) {
  Sampler sampler = configured({.temperature_q16 = kOneQ16, .top_k = 1});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(sampler.sample(ten_candidates()), 100U);
}

TEST(Sampler, OneCandidateIsTaken) {
  for (const std::int32_t logit : {kLowest, -1, 0, kHighest}) {
    Sampler sampler = configured({.temperature_q16 = kOneQ16, .top_k = 40});
    EXPECT_EQ(sampler.sample(Candidates{{logit, 9}}), 9U);
  }
}

TEST(Sampler, DrawsByProbability) {
  const Candidates candidates = ten_candidates();
  expect_distribution({.temperature_q16 = kOneQ16, .top_k = 10}, candidates);
  expect_distribution({.temperature_q16 = uq16(0.5), .top_k = 10}, candidates);
  expect_distribution({.temperature_q16 = uq16(1.7), .top_k = 40}, candidates);
  expect_distribution({.temperature_q16 = uq16(100), .top_k = 40}, candidates);
}

TEST(Sampler, DrawsFromTheTopK) {
  for (const std::uint32_t top_k : {2U, 3U, 9U}) {
    expect_distribution({.temperature_q16 = kOneQ16, .top_k = top_k}, ten_candidates());
  }
}

TEST(Sampler, DrawsFromTheTopP) {
  for (const double top_p : {0.05, 0.35, 0.5, 0.9, 0.99, 0.9999}) {
    expect_distribution({.temperature_q16 = kOneQ16, .top_k = 10, .top_p_q16 = uq16(top_p)},
                        ten_candidates());
  }
}

TEST(Sampler, DrawsByMinP) {
  for (const double min_p : {0.001, 0.05, 0.3, 0.7, 0.99}) {
    expect_distribution({.temperature_q16 = kOneQ16, .top_k = 10, .min_p_q16 = uq16(min_p)},
                        ten_candidates());
  }
}

TEST(Sampler, DrawsByAllSettingsTogether) {
  expect_distribution(
      {.temperature_q16 = uq16(0.8), .top_k = 7, .top_p_q16 = uq16(0.95), .min_p_q16 = uq16(0.06)},
      ten_candidates());
}

// The smallest set whose mass reaches top-p: with two equal candidates one half is reached by one.
TEST(Sampler, TopPStopsWhereItIsReached) {
  const Candidates equal = {{0, 100}, {0, 101}};
  SamplerConfig config{.temperature_q16 = kOneQ16, .top_k = 2, .top_p_q16 = kOneQ16 / 2};
  Sampler half = configured(config);
  config.top_p_q16 += 1;
  Sampler more = configured(config);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(half.sample(equal), 100U);
    seen.insert(more.sample(equal));
  }
  EXPECT_EQ(seen.size(), 2U);
}

// A weight of exactly one half: min-p of one half keeps it, the next higher one does not.
TEST(Sampler, MinPKeepsWhatReachesIt) {
  const Candidates candidates = {{q16(std::log(2.0)), 100}, {0, 101}};
  SamplerConfig config{.temperature_q16 = kOneQ16, .top_k = 2, .min_p_q16 = kOneQ16 / 2};
  Sampler kept = configured(config);
  config.min_p_q16 += 1;
  Sampler dropped = configured(config);
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 100; ++i) {
    seen.insert(kept.sample(candidates));
    EXPECT_EQ(dropped.sample(candidates), 100U);
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST(Sampler, ASeedReplaysItsDraws) {
  const Candidates candidates = ten_candidates();
  const auto draw = [&](std::uint64_t seed) {
    Sampler sampler = configured({.temperature_q16 = kOneQ16, .top_k = 10, .seed = seed});
    std::vector<std::uint32_t> tokens;
    for (int i = 0; i < 16; ++i) tokens.push_back(sampler.sample(candidates));
    return tokens;
  };
  EXPECT_EQ(draw(42), draw(42));
  EXPECT_NE(draw(42), draw(43));
  // Pinned: these change only with a change of what every machine must do alike.
  const std::vector<std::uint32_t> golden = {102, 101, 102, 101, 103, 103, 103, 101,
                                             104, 106, 100, 100, 105, 100, 100, 100};
  EXPECT_EQ(draw(42), golden);
}

TEST(Sampler, EveryDrawTakesOneNumber) {
  const Candidates candidates = ten_candidates();
  Sampler a = configured({.temperature_q16 = kOneQ16, .top_k = 10, .seed = 3});
  Sampler b = configured({.temperature_q16 = kOneQ16, .top_k = 10, .seed = 3});
  for (int i = 0; i < 50; ++i) {
    (void)a.sample(candidates);
    (void)b.sample(std::span(candidates).first(1));
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(a.sample(candidates), b.sample(candidates));
}

TEST(Sampler, ExtremeLogitsAndTemperatures) {
  const Candidates apart = {{kHighest, 1}, {kLowest, 2}};
  const Candidates equal_low = {{kLowest, 1}, {kLowest, 2}};
  const Candidates equal_high = {{kHighest, 1}, {kHighest, 2}};
  for (const std::uint32_t temperature : {1U, 2U, 65535U, kOneQ16, 0x80000000U, 0xffffffffU}) {
    Sampler sampler = configured({.temperature_q16 = temperature, .top_k = 2, .seed = 5});
    int first_apart = 0;
    int first_low = 0;
    int first_high = 0;
    for (int i = 0; i < 2000; ++i) {
      first_apart += sampler.sample(apart) == 1 ? 1 : 0;
      first_low += sampler.sample(equal_low) == 1 ? 1 : 0;
      first_high += sampler.sample(equal_high) == 1 ? 1 : 0;
    }
    EXPECT_NEAR(first_low, 1000, 5 * std::sqrt(500.0));
    EXPECT_NEAR(first_high, 1000, 5 * std::sqrt(500.0));
    // 65,536 apart: no chance at any temperature up to 2^11, e^-1 against 1 at 2^16.
    const double ratio = std::exp(-65536.0 / (temperature / 65536.0));
    EXPECT_NEAR(first_apart, 2000 / (1 + ratio), 5 * std::sqrt(500.0) * std::sqrt(4 * ratio));
  }
}

TEST(Sampler, AColdTemperatureTakesTheBestOfCloseLogits) {
  const Candidates close = {{1, 1}, {0, 2}};  // 2^-16 apart, over a temperature of 2^-16
  Sampler sampler = configured({.temperature_q16 = 1, .top_k = 2, .seed = 5});
  int first = 0;
  for (int i = 0; i < 20000; ++i) first += sampler.sample(close) == 1 ? 1 : 0;
  const double p = 1 / (1 + std::exp(-1.0));
  EXPECT_NEAR(first, 20000 * p, 5 * std::sqrt(20000 * p * (1 - p)));
}

TEST(Sampler, DrawsFromTheLargestVocabulary) {
  Candidates candidates;
  for (std::uint32_t token = 0; token < (1U << 20); ++token) candidates.push_back({0, token});
  Sampler sampler = configured({.temperature_q16 = kOneQ16, .top_k = 1U << 20, .seed = 1});
  double sum = 0;
  for (int i = 0; i < 20; ++i) sum += sampler.sample(candidates);
  EXPECT_NEAR(sum / 20, 1 << 19, 5 * (1 << 20) / std::sqrt(12.0 * 20));
}

/// One logit of a pass, alone in its block.
std::int32_t penalized(Sampler& sampler, Candidate candidate) {
  sampler.penalize(candidate.token, {&candidate.logit, 1});
  return candidate.logit;
}

TEST(Sampler, PenalizesRepetitions) {
  Sampler sampler = configured({.top_k = 1, .repeat_penalty_q16 = 3 * kOneQ16 / 2});
  for (const std::uint32_t token : {5U, 2U, 5U, 9U}) sampler.accept(token);
  sampler.begin_logits();
  EXPECT_EQ(penalized(sampler, {300, 0}), 300);
  EXPECT_EQ(penalized(sampler, {300, 2}), 200);
  EXPECT_EQ(penalized(sampler, {-300, 4}), -300);
  EXPECT_EQ(penalized(sampler, {-300, 5}), -450);
  EXPECT_EQ(penalized(sampler, {0, 9}), 0);
  EXPECT_EQ(penalized(sampler, {7, 10}), 7);
  // A chip may ask for some of the vocabulary only.
  sampler.begin_logits();
  EXPECT_EQ(penalized(sampler, {300, 9}), 200);
}

TEST(Sampler, PenalizesBlocksOfAnySize) {
  for (std::uint32_t size = 1; size <= 12; ++size) {
    Sampler sampler = configured({.top_k = 1, .repeat_penalty_q16 = 2 * kOneQ16});
    for (const std::uint32_t token : {3U, 1U, 4U, 11U, 5U}) sampler.accept(token);
    sampler.begin_logits();
    std::vector<std::int32_t> logits(12, 100);
    // The first two tokens belong to another chip.
    for (std::uint32_t first = 2; first < 12; first += size) {
      const std::uint32_t count = std::min<std::uint32_t>(size, 12 - first);
      sampler.penalize(first, std::span(logits).subspan(first, count));
    }
    const std::vector<std::int32_t> expected = {100, 100, 100, 50,  50,  50,
                                                100, 100, 100, 100, 100, 50};
    EXPECT_EQ(logits, expected) << size;
  }
}

TEST(Sampler, PenaltyRoundsHalfUpAndSaturates) {
  const auto rounded = [](std::uint32_t penalty_q16, std::int32_t logit) {
    Sampler sampler = configured({.top_k = 1, .repeat_penalty_q16 = penalty_q16});
    sampler.accept(0);
    sampler.begin_logits();
    return penalized(sampler, {logit, 0});
  };
  EXPECT_EQ(rounded(2 * kOneQ16, 3), 2);        // 1.5
  EXPECT_EQ(rounded(2 * kOneQ16, 1), 1);        // 0.5
  EXPECT_EQ(rounded(3 * kOneQ16, 4), 1);        // 1.33
  EXPECT_EQ(rounded(3 * kOneQ16 / 2, -1), -1);  // -1.5
  EXPECT_EQ(rounded(3 * kOneQ16 / 2, -3), -4);  // -4.5
  EXPECT_EQ(rounded(16 * kOneQ16, kLowest), kLowest);
  EXPECT_EQ(rounded(kOneQ16, kLowest), kLowest);
  EXPECT_EQ(rounded(kOneQ16 + 1, kLowest), kLowest);
  EXPECT_EQ(rounded(kOneQ16, kHighest), kHighest);
  EXPECT_EQ(rounded(16 * kOneQ16, kHighest), 1 << 27);
}

TEST(Sampler, ThePenaltyForgetsWhatLeavesItsWindow) {
  Sampler sampler = configured({.top_k = 1, .repeat_penalty_q16 = 2 * kOneQ16, .repeat_window = 3});
  for (std::uint32_t token = 0; token < 1000; ++token) {
    sampler.accept(token);
    sampler.begin_logits();
    for (std::uint32_t asked = token < 5 ? 0 : token - 5; asked <= token + 1; ++asked) {
      const bool recent = asked <= token && asked + 3 > token;
      EXPECT_EQ(penalized(sampler, {100, asked}), recent ? 50 : 100) << token << " " << asked;
    }
  }
  sampler.clear_history();
  sampler.begin_logits();
  EXPECT_EQ(penalized(sampler, {100, 999}), 100);
}

TEST(Sampler, TheWidestWindowHoldsAllDifferentTokens) {
  Sampler sampler = configured({.top_k = 1, .repeat_penalty_q16 = 2 * kOneQ16});
  for (std::uint32_t i = 0; i < 3 * kMaxRepeatWindow; ++i) sampler.accept(1000 - i);
  sampler.begin_logits();
  int count = 0;
  for (std::uint32_t token = 0; token < 1100; ++token) {
    count += penalized(sampler, {100, token}) == 50 ? 1 : 0;
  }
  EXPECT_EQ(count, static_cast<int>(kMaxRepeatWindow));
}

TEST(CandidateList, EqualsASortOfTheStream) {
  std::mt19937 random(3);
  for (const std::size_t capacity : {1U, 2U, 3U, 7U, 40U, 64U}) {
    for (const std::uint32_t spread : {1U, 3U, 50U, 0xffffffffU}) {
      for (const std::uint32_t length : {0U, 1U, 5U, 40U, 500U}) {
        Candidates memory(capacity);
        CandidateList list(memory);
        Candidates stream;
        for (std::uint32_t i = 0; i < length; ++i) {
          const auto logit = static_cast<std::int32_t>(random() % spread + 0x80000000U);
          stream.push_back({logit, i});
        }
        std::shuffle(stream.begin(), stream.end(), random);
        for (const Candidate& candidate : stream) list.offer(candidate);
        std::sort(stream.begin(), stream.end());
        stream.resize(std::min<std::size_t>(length, capacity));
        ASSERT_EQ(list.size(), stream.size());
        for (int again = 0; again < 2; ++again) {  // sorting a sorted list changes nothing
          const std::span<Candidate> best = list.sort();
          ASSERT_EQ(best.size(), stream.size());
          for (std::size_t i = 0; i < best.size(); ++i) {
            ASSERT_EQ(best[i].logit, stream[i].logit);
            ASSERT_EQ(best[i].token, stream[i].token);
          }
        }
      }
    }
  }
}

TEST(CandidateList, TakesRowsOfLogitsAsItTakesEachOfThem) {
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    std::vector<std::int32_t> logits(1 + random() % 200);
    for (std::int32_t& logit : logits) logit = static_cast<std::int32_t>(random() % 41) - 20;
    std::vector<Candidate> one(1 + random() % 12);
    std::vector<Candidate> rows(one.size());
    CandidateList expected(one);
    CandidateList actual(rows);
    const std::size_t cut = random() % logits.size();
    for (std::uint32_t t = 0; t < logits.size(); ++t) expected.offer({logits[t], t});
    actual.offer(0, std::span(logits).first(cut));
    actual.offer(static_cast<std::uint32_t>(cut), std::span(logits).subspan(cut));
    const auto best = expected.sort();
    const auto found = actual.sort();
    ASSERT_EQ(found.size(), best.size());
    for (std::size_t k = 0; k < best.size(); ++k) {
      EXPECT_EQ(found[k].logit, best[k].logit);
      EXPECT_EQ(found[k].token, best[k].token);
    }
  }
  CandidateList none;
  none.offer(0, std::vector<std::int32_t>{1, 2});
  EXPECT_EQ(none.size(), 0U);
}

TEST(CandidateList, OrdersTiesByToken) {
  Candidates memory(2);
  CandidateList list(memory);
  for (const std::uint32_t token : {9U, 4U, 7U, 3U, 8U}) list.offer({5, token});
  EXPECT_EQ(list.sort()[0].token, 3U);
  EXPECT_EQ(list.sort()[1].token, 4U);
}

TEST(CandidateList, ClearsAndMayBeEmpty) {
  Candidates memory(2);
  CandidateList list(memory);
  list.offer({1, 1});
  EXPECT_EQ(list.sort().size(), 1U);
  list.clear();
  EXPECT_EQ(list.size(), 0U);
  list.offer({kLowest, 2});
  EXPECT_EQ(list.sort()[0].token, 2U);
  CandidateList none;
  none.offer({1, 1});
  EXPECT_TRUE(none.sort().empty());
}

TEST(CandidateListDeathTest, AnOfferAfterSortIsAProgrammersError) {
  Candidates memory(2);
  CandidateList list(memory);
  list.offer({1, 1});
  (void)list.sort();
  EXPECT_DEATH(list.offer({2, 2}), "");
}

}  // namespace
}  // namespace mote
