// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "support/oracle.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::Random;
using test::Worst;

constexpr std::uint32_t kQuarter = 1U << 30;
// Half a unit of the table, half a unit of the result, 0.155 of interpolation, 0.004 of the phase.
constexpr double kSineBoundUnits = 1.16;

double radians(std::uint32_t phase) {
  return std::ldexp(phase, -31) * std::numbers::pi;
}

/// All phases of 16 bits, then random ones of 32.
std::vector<std::uint32_t> phases() {
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < 65536; ++i) all.push_back(i << 16);
  Random random(1);
  for (int i = 0; i < 65536; ++i) all.push_back(static_cast<std::uint32_t>(random.next()));
  for (int i = 0; i < 4096; ++i) all.push_back(static_cast<std::uint32_t>(random.awkward(32)));
  return all;
}

TEST(SineCosine, table_entries_are_rounded_sines) {
  for (std::uint32_t i = 0; i <= 256; ++i) {
    const double exact = 32768 * std::sin(i / 512.0 * std::numbers::pi);
    EXPECT_EQ(sine_cosine(i << 22).sine, std::lround(exact)) << i;
  }
}

TEST(SineCosine, error_is_within_the_stated_bound) {
  Worst sine_error;
  Worst length_error;
  for (const std::uint32_t phase : phases()) {
    const auto [s, c] = sine_cosine(phase);
    sine_error.offer(std::abs(s - 32768 * std::sin(radians(phase))), phase);
    sine_error.offer(std::abs(c - 32768 * std::cos(radians(phase))), phase);
    length_error.offer(std::abs(std::hypot(s, c) - 32768), phase);
  }
  test::record("sine_error_units", sine_error.value);
  test::record("length_error_units", length_error.value);
  EXPECT_LE(sine_error.value, kSineBoundUnits) << "at " << sine_error.where;
  EXPECT_LE(length_error.value, kSineBoundUnits * std::numbers::sqrt2);
}

TEST(SineCosine, quadrants_mirror_each_other_exactly) {
  int wrong = 0;
  for (const std::uint32_t phase : phases()) {
    const std::int32_t s = sine_cosine(phase).sine;
    wrong += sine_cosine(0U - phase).sine != -s ? 1 : 0;
    wrong += sine_cosine(phase + 2 * kQuarter).sine != -s ? 1 : 0;
    wrong += sine_cosine(2 * kQuarter - phase).sine != s ? 1 : 0;
    wrong += sine_cosine(phase - kQuarter).cosine != s ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(SineCosine, quarter_turns_are_exact) {
  const std::array<SineCosine, 4> expected = {{{0, 32768}, {32768, 0}, {0, -32768}, {-32768, 0}}};
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(sine_cosine(i * kQuarter).sine, expected[i].sine);
    EXPECT_EQ(sine_cosine(i * kQuarter).cosine, expected[i].cosine);
  }
}

TEST(SineCosine, rises_and_falls_without_a_step_back) {
  int wrong = 0;
  for (std::uint32_t phase = 0; phase < kQuarter; phase += 1U << 14) {
    const std::uint32_t next = phase + (1U << 14);
    wrong += sine_cosine(next).sine < sine_cosine(phase).sine ? 1 : 0;
    wrong += sine_cosine(next).cosine > sine_cosine(phase).cosine ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
}

TEST(RotatePairs, agrees_with_double) {
  Random random(2);
  Worst excess;
  Worst relative;
  for (int i = 0; i < 50000; ++i) {
    const int bits = random.between<int>(4, 30);
    std::array<std::int32_t, 2> pair{};
    for (auto& lane : pair) lane = static_cast<std::int32_t>(random.awkward_signed(bits));
    const double x = pair[0];
    const double y = pair[1];
    const auto frequency = static_cast<std::uint32_t>(random.next());
    const auto position = static_cast<std::uint32_t>(random.below(65536));
    rotate_pairs(pair, &frequency, position);
    const double angle = radians(frequency * position);
    const double error = std::hypot(pair[0] - (x * std::cos(angle) - y * std::sin(angle)),
                                    pair[1] - (x * std::sin(angle) + y * std::cos(angle)));
    const double length = std::hypot(x, y);
    // An error of (ds, dc) in the rotation moves the pair by its length times |(ds, dc)|.
    const double bound = kSineBoundUnits * std::numbers::sqrt2 / 32768;
    excess.offer(error - length * bound - std::numbers::sqrt2 / 2, i);
    if (length > 1 << 20) relative.offer(error / length, i);
  }
  test::record("relative_error", relative.value);
  EXPECT_LE(excess.value, 0);
}

TEST(RotatePairs, position_zero_changes_nothing) {
  std::array<std::int32_t, 4> head = {(1 << 30) - 1, 1 - (1 << 30), 7, -8};
  const auto before = head;
  const std::array<std::uint32_t, 2> frequencies = {0x12345678U, 0xffffffffU};
  rotate_pairs(head, frequencies.data(), 0);
  EXPECT_EQ(head, before);
}

TEST(RotatePairs, phase_wraps) {
  const std::array<std::uint32_t, 2> frequencies = {1U << 26, 3U << 24};
  std::array<std::int32_t, 4> first = {1000, -2000, 1 << 20, 12345};
  auto second = first;
  rotate_pairs(first, frequencies.data(), 5);
  // 2^8 positions are whole turns of both frequencies.
  rotate_pairs(second, frequencies.data(), 5 + (1U << 8) * 250);
  EXPECT_EQ(first, second);
}

TEST(RotatePairs, largest_lanes_do_not_overflow) {
  constexpr std::int32_t limit = (1 << 30) - 1;
  for (std::uint32_t phase = 0; phase < 4096; ++phase) {
    std::array<std::int32_t, 2> pair = {limit, phase % 2 == 0 ? limit : -limit};
    const std::uint32_t frequency = phase << 20;
    rotate_pairs(pair, &frequency, 1);
    ASSERT_NEAR(std::hypot(pair[0], pair[1]), std::numbers::sqrt2 * limit, limit / 10000.0);
  }
}

TEST(RotatePairs, saturated_lanes_saturate_again) {
  for (std::uint32_t phase = 0; phase < 4096; ++phase) {
    std::array<std::int32_t, 2> pair = {INT32_MIN, phase % 2 == 0 ? INT32_MIN : INT32_MAX};
    const std::uint32_t frequency = phase << 20;
    rotate_pairs(pair, &frequency, 1);
    const double largest = std::max(std::abs(pair[0] + 0.5), std::abs(pair[1] + 0.5));
    ASSERT_GE(largest, 2147483600.0);
  }
}

TEST(RotatePairs, turns_each_pair_by_its_own_frequency) {
  const std::array<std::uint32_t, 3> frequencies = {0, 1U << 30, 1U << 31};
  std::array<std::int32_t, 6> head = {10, 20, 10, 20, 10, 20};
  rotate_pairs(head, frequencies.data(), 1);
  EXPECT_EQ(head, (std::array<std::int32_t, 6>{10, 20, -20, 10, -10, -20}));
}

}  // namespace
}  // namespace mote
