// SPDX-License-Identifier: Apache-2.0
#include "calibrate/mixed_choice.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/random.hpp"

namespace mote::host {
namespace {

std::uint64_t bytes_of(const std::vector<Upgrade>& upgrades, const std::vector<bool>& chosen) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < upgrades.size(); ++i) bytes += chosen[i] ? upgrades[i].bytes : 0;
  return bytes;
}

double gain_of(const std::vector<Upgrade>& upgrades, const std::vector<bool>& chosen) {
  double gain = 0;
  for (std::size_t i = 0; i < upgrades.size(); ++i) gain += chosen[i] ? upgrades[i].gain : 0;
  return gain;
}

double best_of_all_sets(const std::vector<Upgrade>& upgrades, std::uint64_t bytes) {
  double best = 0;
  for (std::size_t set = 0; set < std::size_t{1} << upgrades.size(); ++set) {
    std::vector<bool> chosen(upgrades.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = (set >> i & 1) != 0;
    if (bytes_of(upgrades, chosen) <= bytes) best = std::max(best, gain_of(upgrades, chosen));
  }
  return best;
}

TEST(ChooseUpgrades, finds_the_best_of_all_sets) {
  test::Random random(14);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<Upgrade> upgrades(random.below(11));
    for (Upgrade& upgrade : upgrades) {
      upgrade = {random.below(3000), static_cast<double>(random.between(-20, 100))};
    }
    const std::uint64_t bytes = random.below(12000);
    const auto chosen = choose_upgrades(upgrades, bytes);
    ASSERT_EQ(chosen.size(), upgrades.size());
    EXPECT_LE(bytes_of(upgrades, chosen), bytes);
    EXPECT_DOUBLE_EQ(gain_of(upgrades, chosen), best_of_all_sets(upgrades, bytes));
  }
}

TEST(ChooseUpgrades, no_room_and_no_gain) {
  const std::vector<Upgrade> upgrades = {{10, 1}, {20, -1}, {30, 0}};
  EXPECT_EQ(choose_upgrades(upgrades, 9), std::vector<bool>(3, false));
  EXPECT_EQ(choose_upgrades(upgrades, 1000), (std::vector<bool>{true, false, false}));
  EXPECT_TRUE(choose_upgrades({}, 100).empty());
}

TEST(ChooseUpgrades, sizes_beyond_the_table_never_exceed_the_room) {
  const std::vector<Upgrade> upgrades = {{600'000'001, 2}, {400'000'000, 1.5}, {399'000'000, 1}};
  const auto chosen = choose_upgrades(upgrades, 1'000'000'000);
  EXPECT_LE(bytes_of(upgrades, chosen), 1'000'000'000U);
  EXPECT_EQ(chosen, (std::vector<bool>{true, false, true}));
}

}  // namespace
}  // namespace mote::host
