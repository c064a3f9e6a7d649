// SPDX-License-Identifier: Apache-2.0
#include "firmware/cluster_node.hpp"

extern "C" int mote_main() {
  return mote::firmware::run_cluster_node();
}
