// SPDX-License-Identifier: Apache-2.0
// Boards for the programs in src/firmware, as objects of a test: their console, links and time are
// in the test's hands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cluster/chip.hpp"
#include "firmware/board.hpp"
#include "support/image_factory.hpp"

namespace mote::test {

/// One direction of a wire.
struct FakeWire {
  std::deque<std::uint8_t> bytes;
  std::size_t room = 64;        // bytes that are under way at most
  bool is_cut = false;          // takes everything and carries nothing
  std::uint64_t flip_each = 0;  // every so many bytes one bit turns over; 0: none
  std::uint64_t carried = 0;
};

struct FakeBoard {
  explicit FakeBoard(const Bytes& image_bytes, std::size_t arena_bytes = 1U << 20)
      : image(image_bytes), memory(arena_bytes), arena(memory.span()) {}

  AlignedBytes image;
  host::ArenaMemory memory;
  std::span<std::byte> arena;
  std::vector<std::byte> stack;
  std::string typed;                           // what is to be read of the console
  std::string shown;                           // what was written to it
  std::vector<std::shared_ptr<FakeWire>> in;   // (links)
  std::vector<std::shared_ptr<FakeWire>> out;  // (links)
  std::size_t frame_bytes = 512;
  board::FixedSeat fixed;
  bool computes_apart = false;
  std::uint32_t boot = 1;
  std::uint64_t now_us = 0;
  std::uint64_t sleeps = 0;
  void (*apart)(void*) = nullptr;
  void* apart_argument = nullptr;
};

/// The board that the programs see from now on.
void use_board(FakeBoard& board);

/// The lines of `text` that begin with `{`.
std::vector<std::string> json_lines(const std::string& text);

}  // namespace mote::test
