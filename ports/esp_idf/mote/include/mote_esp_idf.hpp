// SPDX-License-Identifier: Apache-2.0
// Mote on ESP-IDF: what an application's app_main calls.
#pragma once

#include "firmware/cluster_node.hpp"
#include "firmware/one_chip.hpp"

namespace mote::esp_idf {

/// Maps the model's partition, opens the console and the links of Kconfig, and starts `program`
/// (mote::firmware::run_one_chip or run_cluster_node) as a task of its own. Once only.
void start(int (*program)());

}  // namespace mote::esp_idf
