// SPDX-License-Identifier: Apache-2.0
// One hash over logits and tokens of fixed prompts. It changes only together with
// tests/signature.txt, so that every change of a bit is a decision.
#include "synthetic/signature.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace mote {
namespace {

TEST(Signature, equals_the_golden_one) {
  std::ifstream file(MOTE_SOURCE_DIR "/tests/signature.txt");
  std::string golden;
  ASSERT_TRUE(std::getline(file, golden));
  EXPECT_EQ(golden.size(), 16U);
  EXPECT_EQ(host::compute_signature(), golden);
  std::string more;
  EXPECT_FALSE(std::getline(file, more)) << "tests/signature.txt has one line";
}

}  // namespace
}  // namespace mote
