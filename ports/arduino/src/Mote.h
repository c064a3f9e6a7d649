// SPDX-License-Identifier: Apache-2.0
// Mote for Arduino: what a sketch calls. docs: README.md.
#pragma once

#include <Arduino.h>
#include <stddef.h>
#include <stdint.h>

namespace mote::arduino {

/// Memory in flash.
struct Region {
  const uint8_t* data = nullptr;
  size_t bytes = 0;
};

/// What a sketch gives; all of it outlives the program.
struct Setup {
  Region image;                // FILE.mote, at a multiple of 64 bytes
  void* arena = nullptr;       // memory for the model, at a multiple of 16 bytes
  size_t arena_bytes = 0;      // `mote inspect FILE.mote` says how much a context needs
  Stream* console = nullptr;   // Serial
  Stream* next = nullptr;      // to the next chip of a ring, or to a star's hub; it must know
                               // availableForWrite
  Stream* previous = nullptr;  // to the chip before
  uint32_t seats = 0;          // chips of the ring, where this sketch fixes them; else 0: the
  uint32_t seat = 0;           // console or a neighbour tells
  uint64_t identity = 0;       // differs from chip to chip; 0: the chip's own where it is known
};

/// The console's program for one chip. Returns once `reset` was typed.
int run_one_chip(const Setup& setup);
/// The program for one chip of a cluster.
int run_cluster_node(const Setup& setup);

#if defined(ESP32)
/// A data partition of the sketch's partitions.csv, in place; empty where there is none.
Region map_partition(const char* label);
#endif

}  // namespace mote::arduino
