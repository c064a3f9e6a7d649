// SPDX-License-Identifier: Apache-2.0
// Where the sketch finds its model.
//
// ESP32: in the flash partition "model" of partitions.csv, in this folder. Write it once:
//   esptool.py write_flash 0x190000 FILE.mote
// Other boards: in the program itself. Make model_data.h once, in this folder:
//   python3 extras/model_to_header.py FILE.mote model_data.h
#pragma once

#include <Mote.h>

#define MOTE_ARENA_BYTES (96 * 1024)

#if defined(ESP32)

inline mote::arduino::Region model_region() {
  return mote::arduino::map_partition("model");
}

#elif __has_include("model_data.h")

#include "model_data.h"

inline mote::arduino::Region model_region() {
  return {model_data, sizeof(model_data)};
}

#else

// Without a model the program starts and says so.
inline mote::arduino::Region model_region() {
  return {};
}

#endif
