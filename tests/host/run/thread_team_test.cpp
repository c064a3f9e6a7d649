// SPDX-License-Identifier: Apache-2.0
#include "run/thread_team.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace mote::host {
namespace {

TEST(ThreadTeam, every_thread_does_every_task) {
  for (const std::uint32_t threads : {1U, 2U, 5U, 64U}) {
    ThreadTeam team(threads);
    std::vector<std::uint32_t> done(threads);
    for (int task = 0; task < 20; ++task) {
      team.run([&](std::uint32_t thread) { ++done[thread]; });
    }
    EXPECT_EQ(done, std::vector<std::uint32_t>(threads, 20));
  }
}

// After each meeting everybody sees what everybody wrote before it.
TEST(ThreadTeam, meetings_show_what_was_written) {
  constexpr std::uint32_t kThreads = 4;
  ThreadTeam team(kThreads);
  std::uint32_t written[2][kThreads] = {};
  std::uint32_t wrong[kThreads] = {};
  team.run([&](std::uint32_t thread) {
    for (std::uint32_t round = 1; round <= 500; ++round) {
      written[round % 2][thread] = round;
      team.meet();
      for (const std::uint32_t other : written[round % 2]) wrong[thread] += other != round ? 1 : 0;
    }
  });
  for (const std::uint32_t count : wrong) EXPECT_EQ(count, 0U);
}

// Longer than a thread looks before it sleeps.
TEST(ThreadTeam, waits_for_a_late_thread) {
  ThreadTeam team(3);
  std::uint32_t seen[3] = {};
  bool is_late_done = false;
  for (int task = 0; task < 3; ++task) {
    is_late_done = false;
    team.run([&](std::uint32_t thread) {
      if (thread == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        is_late_done = true;
      }
      team.meet();
      seen[thread] += is_late_done ? 1 : 0;
    });
  }
  for (const std::uint32_t count : seen) EXPECT_EQ(count, 3U);
}

}  // namespace
}  // namespace mote::host
