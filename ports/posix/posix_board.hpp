// SPDX-License-Identifier: Apache-2.0
// The board functions as a process of a PC: its console and links are descriptors that it inherits.
#pragma once

namespace mote::posix {

/// Reads the command line, loads the image, and runs `program` on a painted stack. Returns the
/// process's exit status.
int run_program(int argc, char** argv, int (*program)());

}  // namespace mote::posix
