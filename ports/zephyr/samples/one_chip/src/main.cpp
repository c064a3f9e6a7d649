// SPDX-License-Identifier: Apache-2.0
#include "mote_zephyr.hpp"

int main() {
  mote::zephyr::start(mote::firmware::run_one_chip);
  return 0;
}
