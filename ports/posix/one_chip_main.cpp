// SPDX-License-Identifier: Apache-2.0
#include "firmware/one_chip.hpp"
#include "posix_board.hpp"

int main(int argc, char** argv) {
  return mote::posix::run_program(argc, argv, mote::firmware::run_one_chip);
}
