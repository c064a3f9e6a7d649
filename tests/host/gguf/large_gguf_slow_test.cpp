// SPDX-License-Identifier: Apache-2.0
// A model of 110 million parameters converts in little memory, and runs.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <string>

#include "support/program.hpp"

namespace mote::host {
namespace {

/// Of the largest process that this one has waited for.
long peak_kib_of_children() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return usage.ru_maxrss;
}

TEST(LargeGguf, ConvertsInTwiceItsLargestTensorAndRuns) {
  const std::string source = testing::TempDir() + "mote_large.gguf";
  const std::string image = testing::TempDir() + "mote_large.mote";
  ASSERT_EQ(test::run_program(MOTE_MAKE_GGUF, {source, "F32"}).exit_code, 0);
  const auto converted =
      test::run_program(MOTE_PROGRAM, {"convert", source, "-o", image, "--quiet"});
  EXPECT_EQ(converted.exit_code, 0) << converted.errors;
  constexpr long kLargestTensorKib = 32000L * 768 * 4 / 1024;
  EXPECT_LE(peak_kib_of_children(), 2 * kLargestTensorKib);
  const auto answer = test::run_program(MOTE_PROGRAM, {"run", "-m", image, "-p", "a", "-n", "4"});
  EXPECT_EQ(answer.exit_code, 0) << answer.errors;
  std::filesystem::remove(source);
  std::filesystem::remove(image);
}

}  // namespace
}  // namespace mote::host
