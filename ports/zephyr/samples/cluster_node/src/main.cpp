// SPDX-License-Identifier: Apache-2.0
#include "mote_zephyr.hpp"

int main() {
  mote::zephyr::start(mote::firmware::run_cluster_node);
  return 0;
}
