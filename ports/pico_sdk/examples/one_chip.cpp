// SPDX-License-Identifier: Apache-2.0
#include "mote_pico.hpp"

int main() {
  mote::pico::run(mote::firmware::run_one_chip);
}
