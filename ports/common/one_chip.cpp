// SPDX-License-Identifier: Apache-2.0
#include "firmware/one_chip.hpp"

extern "C" int mote_main() {
  return mote::firmware::run_one_chip();
}
