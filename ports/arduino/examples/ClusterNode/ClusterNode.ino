// SPDX-License-Identifier: Apache-2.0
// One chip of a ring. Wire each board's Serial2 to the next board's Serial1, TX to RX and RX to TX,
// and ground to ground. Then type `seat ring 4` into the serial monitor of one of four boards, and
// `run Once upon a time`. Where the model comes from: model.h; each board may have the whole model
// or the shard of its place in the ring.
#include <Mote.h>

#include "model.h"

// `mote plan -m FILE.mote --chips 4` says what a chip needs.
alignas(16) static uint8_t arena[MOTE_ARENA_BYTES];

constexpr unsigned long kBaud = 1000000;

void setup() {
  Serial.begin(115200);
  Serial1.begin(kBaud);
  Serial2.begin(kBaud);
}

void loop() {
  mote::arduino::Setup setup;
  setup.image = model_region();
  setup.arena = arena;
  setup.arena_bytes = sizeof(arena);
  setup.console = &Serial;
  setup.next = &Serial2;
  setup.previous = &Serial1;
  mote::arduino::run_cluster_node(setup);
}
