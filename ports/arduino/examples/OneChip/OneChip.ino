// SPDX-License-Identifier: Apache-2.0
// A language model on one chip. Type `run Once upon a time` into the serial monitor (line ending:
// newline). Where the model comes from: model.h.
#include <Mote.h>

#include "model.h"

// `mote inspect FILE.mote` says what a context needs.
alignas(16) static uint8_t arena[MOTE_ARENA_BYTES];

void setup() {
  Serial.begin(115200);
  while (!Serial) delay(10);
}

void loop() {
  mote::arduino::Setup setup;
  setup.image = model_region();
  setup.arena = arena;
  setup.arena_bytes = sizeof(arena);
  setup.console = &Serial;
  mote::arduino::run_one_chip(setup);
}
