// SPDX-License-Identifier: Apache-2.0
// What a reader says of a file that it refuses.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/error.hpp"

namespace mote::test {

/// read() throws an `Error` that begins with the name of the file and holds `expected`.
template <typename Read>
void expect_refusal(const std::string& file, const std::string& expected, const Read& read) {
  try {
    read();
    ADD_FAILURE() << expected;
  } catch (const host::Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(expected), std::string::npos) << message;
    EXPECT_EQ(message.rfind(file + ": ", 0), 0U) << message;
  }
}

}  // namespace mote::test
