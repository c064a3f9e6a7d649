// SPDX-License-Identifier: Apache-2.0
#include "mote_esp_idf.hpp"

extern "C" void app_main() {
  mote::esp_idf::start(mote::firmware::run_one_chip);
}
