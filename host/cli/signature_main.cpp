// SPDX-License-Identifier: Apache-2.0
// Prints the signature alone: a small program that builds fast for every compiler and level.
#include <cstdio>
#include <exception>

#include "synthetic/signature.hpp"

int main() {
  try {
    std::printf("%s\n", mote::host::compute_signature().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mote_signature: %s\n", error.what());
    return 1;
  }
  return 0;
}
