// SPDX-License-Identifier: Apache-2.0
// Prints the signature alone: a small program that builds fast for every compiler and level. With
// --kernels it prints the names that MOTE_ISA may have on this computer.
#include <cstdio>
#include <exception>
#include <string_view>

#include "kernels/kernel_choice.hpp"
#include "synthetic/signature.hpp"

int main(int argc, char** argv) {
  try {
    if (argc == 2 && std::string_view(argv[1]) == "--kernels") {
      for (const std::string_view name : mote::host::runnable_kernels()) {
        std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
      }
      return 0;
    }
    std::printf("%s\n", mote::host::compute_signature().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mote_signature: %s\n", error.what());
    return 1;
  }
  return 0;
}
