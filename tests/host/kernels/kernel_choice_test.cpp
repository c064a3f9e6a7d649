// SPDX-License-Identifier: Apache-2.0
// The choice of kernels: what can be named, and that it changes no bit of a whole model.
#include "kernels/kernel_choice.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/each_kernel_set.hpp"
#include "support/error.hpp"
#include "synthetic/signature.hpp"

namespace mote::host {
namespace {

TEST(KernelChoice, the_first_set_runs_anywhere) {
  ASSERT_FALSE(kernel_sets().empty());
  EXPECT_TRUE(kernel_sets().front().runs_here());
  EXPECT_EQ(runnable_kernels().front(), kernel_sets().front().name);
}

TEST(KernelChoice, names_of_sets_that_run) {
  const KernelSet& before = kernels_in_use();
  for (const std::string_view name : runnable_kernels()) {
    use_kernels(name);
    EXPECT_EQ(name_of_kernels_in_use(), name);
  }
  use_kernels(before);
}

TEST(KernelChoice, another_name_is_refused) {
  const std::string_view before = name_of_kernels_in_use();
  try {
    use_kernels("mmx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("kernels \"mmx\": this computer has "), 0U);
  }
  EXPECT_EQ(name_of_kernels_in_use(), before);
}

TEST(KernelChoice, one_signature) {
  std::ifstream file(MOTE_SOURCE_DIR "/tests/signature.txt");
  std::string golden;
  ASSERT_TRUE(std::getline(file, golden));
  test::use_each_kernel_set([&](const KernelSet&) { EXPECT_EQ(compute_signature(), golden); });
}

}  // namespace
}  // namespace mote::host
