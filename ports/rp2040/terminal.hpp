// SPDX-License-Identifier: Apache-2.0
// The console as two rings in memory, laid out as SEGGER's Real Time Transfer: a debug probe, or
// the emulator, reads and writes them while the chip runs.
#pragma once

#include <string_view>

namespace mote::port {

/// -1 where nothing has come.
int read_terminal();
/// Takes the first characters that there is room for and returns the rest.
std::string_view write_terminal(std::string_view text);

}  // namespace mote::port
