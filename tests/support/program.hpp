// SPDX-License-Identifier: Apache-2.0
// Runs another program and takes what it writes.
#pragma once

#include <string>
#include <vector>

namespace mote::test {

struct ProgramResult {
  int exit_code = 0;  // -1 where a signal ended it
  std::string output;
  std::string errors;
};

/// Runs `program` with nothing on its standard input. `output_path` takes its standard output
/// instead of the result, where it is not empty.
ProgramResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                          const std::string& output_path = "");

}  // namespace mote::test
