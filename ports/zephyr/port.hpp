// SPDX-License-Identifier: Apache-2.0
// What the files of this port share.
#pragma once

namespace mote::zephyr {

void open_board();
void open_serial();
/// Ends the board::sleep of the program; also from an interrupt.
void wake();

}  // namespace mote::zephyr
